"""Errors of the models.

PistonError
├── ConfigurationError
│   ├── FeatureFrameError      a table of features lacks columns, repeats rows or holds what is no number
│   │   └── LeakageError       a feature row knows more than its as_of allows
│   └── TooFewFailuresError    there is nothing to learn from, or nothing to judge by
├── ConflictError
│   └── TamperedModelError     a stored model is not what was saved: file, hash, type, version or answer
└── NotFoundError
    └── UnknownModelError      no model of that id, or none promoted yet
"""

from telematics.errors import ConfigurationError, ConflictError, NotFoundError


class FeatureFrameError(ConfigurationError):
    """A table of features cannot be used as it is."""


class LeakageError(FeatureFrameError):
    """A feature row was made from something that was not known at its `as_of`."""


class TooFewFailuresError(ConfigurationError):
    """The history holds too few failures or vehicles for what was asked."""


class TamperedModelError(ConflictError):
    """A stored model differs from what was saved, or this program cannot vouch for it."""


class UnknownModelError(NotFoundError):
    """No such model is stored, or none has been promoted."""
