"""Errors that a partner is told, each of which knows its problem document.

ProblemError
├── UnauthenticatedError      401  no token, or none that we accept
├── InsufficientScopeError    403  the token does not hold a scope that the resource needs
├── ConsentScopeError         403  the owner's consent does not cover such a scope
├── VehicleNotFoundError      404  unknown, or not granted: the same answer on purpose
├── CommandNotFoundError      404  no such command of this partner to this vehicle
├── CursorRefusedError        400  a cursor that we did not hand out, or for another query
├── IdempotencyKeyError       400  no Idempotency-Key, or one that is no quoted string
├── IdempotencyKeyInUseError  409  another request with the same key is running
├── NoDeviceError             409  no one tracker in the vehicle that a command could go to
├── IdempotencyKeyReusedError 422  the same key came with another body before
├── ReadingsRefusedError      422  no reading of the body could be accepted
└── InvalidParametersError    422  parameters that contradict each other
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from serving.scopes import Scope, format_scopes
from telematics.errors import PistonError

REALM = "piston"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One parameter that is wrong."""

    pointer: str
    """JSON Pointer as a URI fragment (RFC 6901 section 6) into `{"path": …, "query": …, "body": …}`."""
    detail: str


class ProblemError(PistonError):
    """Root of the errors that become a problem document."""

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, errors: Iterable[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with the answer."""
        return {}


class UnauthenticatedError(ProblemError):
    """No access token, or none that we accept (RFC 6750 section 3)."""

    status = 401
    slug = "unauthenticated"
    title = "An access token is needed"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        """Refuse a request; `code` is RFC 6750's `error`, left out where no token came at all."""
        super().__init__(detail)
        self.code = code

    @property
    def headers(self) -> Mapping[str, str]:
        """The challenge of RFC 6750."""
        challenge = f'Bearer realm="{REALM}"'
        if self.code is not None:
            challenge += f', error="{self.code}", error_description="{self.detail}"'
        return {"WWW-Authenticate": challenge}


class InsufficientScopeError(ProblemError):
    """The token does not hold a scope that the resource needs (RFC 6750 section 3.1)."""

    status = 403
    slug = "insufficient-scope"
    title = "The token does not allow this"

    def __init__(self, required: Iterable[Scope]) -> None:
        self.required = format_scopes(required)
        super().__init__(f"This resource needs a token with the scope {self.required}.")

    @property
    def headers(self) -> Mapping[str, str]:
        """The challenge, naming the scope to ask for."""
        return {
            "WWW-Authenticate": f'Bearer realm="{REALM}", error="insufficient_scope", scope="{self.required}"'
        }


class ConsentScopeError(ProblemError):
    """The partner has the owner's consent for this vehicle, but not for this class of data."""

    status = 403
    slug = "consent-does-not-cover"
    title = "The owner's consent does not cover this"

    def __init__(self, required: Iterable[Scope]) -> None:
        super().__init__(
            f"The owner's consent for this vehicle does not cover {format_scopes(required)}; "
            "ask for a wider consent."
        )


class VehicleNotFoundError(ProblemError):
    """No such vehicle, or no consent for it: one answer, so that nobody can probe which VINs we know."""

    status = 404
    slug = "vehicle-not-found"
    title = "No such vehicle"

    def __init__(self) -> None:
        super().__init__(
            "There is no vehicle with this VIN that you may read: it is unknown, or its owner has not "
            "consented, or the consent has ended."
        )


class CursorRefusedError(ProblemError):
    """A cursor that was changed on the way, or that belongs to another query."""

    status = 400
    slug = "cursor-refused"
    title = "The cursor cannot be used"

    def __init__(
        self,
        detail: str = "This cursor was not handed out for this query; start again.",
        pointer: str = "#/query/cursor",
    ) -> None:
        super().__init__(detail, errors=[FieldProblem(pointer, detail)])


class IdempotencyKeyError(ProblemError):
    """No Idempotency-Key, or one that cannot be read."""

    status = 400
    slug = "idempotency-key"
    title = "An Idempotency-Key is needed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=[FieldProblem("#/header/Idempotency-Key", detail)])


class IdempotencyKeyInUseError(ProblemError):
    """Another request with the same key is running; its answer will be this one's, too."""

    status = 409
    slug = "idempotency-key-in-use"
    title = "A request with this key is running"

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still running; send yours again a moment later."
        )

    @property
    def headers(self) -> Mapping[str, str]:
        """When to come back."""
        return {"Retry-After": "1"}


class IdempotencyKeyReusedError(ProblemError):
    """The key named another request before."""

    status = 422
    slug = "idempotency-key-reused"
    title = "The key belongs to another request"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key came with another body or address before; a new request needs a new key."
        )


class NoDeviceError(ProblemError):
    """No tracker, or more than one, in the vehicle now."""

    status = 409
    slug = "no-one-device"
    title = "No one tracker to command"


class CommandNotFoundError(ProblemError):
    """No such command, or another partner's."""

    status = 404
    slug = "command-not-found"
    title = "No such command"

    def __init__(self) -> None:
        super().__init__("You have sent no command with this id to this vehicle.")


class ReadingsRefusedError(ProblemError):
    """No reading of the body could be accepted."""

    status = 422
    slug = "readings-refused"
    title = "No reading was accepted"

    def __init__(self, errors: Iterable[FieldProblem]) -> None:
        super().__init__("No reading of the body could be accepted; errors says why.", errors=errors)


class InvalidParametersError(ProblemError):
    """Parameters that are well-formed each but make no sense together or now."""

    status = 422
    slug = "invalid-parameters"
    title = "A parameter is not valid"

    def __init__(self, *errors: FieldProblem) -> None:
        super().__init__("See errors for each parameter that is not valid.", errors=errors)
