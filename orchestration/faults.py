"""Which errors are worth another try.

A server that does not answer may answer soon: the step is tried again. Everything else that Piston raises on
purpose would fail the same way again, and ends the step with its sentence; a bug keeps its traceback.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg

from telematics.errors import PistonError, UnavailableError

MAX_RETRIES: Final = 3
SECONDS_BETWEEN: Final = 20.0
"""A killed server is back within seconds when it is supervised; a minute in all is enough for that."""


@contextmanager
def told_apart() -> Iterator[None]:
    """Turn transient errors into a retry of the step and permanent ones into its failure.

    Raises:
        dagster.RetryRequested: a server cannot be reached now.
        dagster.Failure: the error cannot go away by itself.
    """
    try:
        yield
    except UnavailableError as error:
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=SECONDS_BETWEEN) from error
    except PistonError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def answers(host: str, port: int, timeout_s: float = 3.0) -> bool:
    """Whether something accepts a connection there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
