"""What a query of records asks for, from its parameters and its cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from serving.consent.gate import VehicleAccess, VehiclesAccess
from serving.problems.errors import CursorRefusedError, FieldProblem, InvalidParametersError
from serving.time_range import TimeRange, checked_range
from serving.vehicles.telemetry.cursors import CursorSeal, SealedPosition
from serving.vehicles.telemetry.fields import Field, UnknownFieldsError, chosen_fields, columns_of
from serving.vehicles.units import Units
from warehouse.history import Resolution


@dataclass(frozen=True, slots=True)
class Asked:
    """A query whose every choice is made."""

    span: TimeRange
    units: Units
    resolution: Resolution
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """What must be read for it; the same for all vehicles, whatever their consents cover."""
        return columns_of(self.fields, self.resolution)

    def sealed(self, after: str) -> SealedPosition:
        """Where it goes on, for `CursorSeal`."""
        names = tuple(field.name for field in self.fields)
        return SealedPosition(self.span, self.units, self.resolution, names, after)


class Parameters(Protocol):
    """What both endpoints take; None is what was left out."""

    @property
    def from_(self) -> datetime | None:
        """First moment."""

    @property
    def to(self) -> datetime | None:
        """Moment after the last."""

    @property
    def units(self) -> Units | None:
        """Units."""

    @property
    def resolution(self) -> Resolution | None:
        """Resolution."""

    @property
    def fields(self) -> Sequence[str] | None:
        """Names of fields."""

    @property
    def cursor(self) -> str | None:
        """`next` of the page before."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one endpoint reads parameters."""

    place: str
    """`query` or `body`: where problems point to."""
    default_span: timedelta | None
    """How long before `to` a query begins that does not say it; None: it must say it."""

    def point(self, name: str) -> str:
        """JSON Pointer to a parameter."""
        return f"#/{self.place}/{name}"

    def resolve(
        self,
        parameters: Parameters,
        seal: CursorSeal,
        access: VehicleAccess | VehiclesAccess,
        now: datetime,
        longest: timedelta,
    ) -> tuple[Asked, str | None]:
        """What is asked, and after which position of the history.

        A cursor knows its query: what is left out beside it is the cursor's, what is given must be the same.

        Raises:
            InvalidParametersError: the range is missing, empty, reversed or too long; an unknown field.
            CursorRefusedError: the cursor was changed, or belongs to another query.
        """
        if parameters.cursor is None:
            return self._begun(parameters, now, longest), None
        pointer = self.point("cursor")
        sealed = seal.open(access, parameters.cursor, pointer)
        asked = Asked(
            sealed.span,
            sealed.units,
            sealed.resolution,
            self._fields(sealed.fields, sealed.units, sealed.resolution),
        )
        for name, given, kept in (
            ("range", parameters.from_, asked.span.start),
            ("range", parameters.to, asked.span.end),
            ("units", parameters.units, asked.units),
            ("resolution", parameters.resolution, asked.resolution),
            ("fields", self._given_fields(parameters, asked), asked.fields),
        ):
            if given is not None and given != kept:
                message = f"This cursor belongs to a query with another {name}; leave it out, or start again."
                raise CursorRefusedError(message, pointer)
        return asked, sealed.after

    def _begun(self, parameters: Parameters, now: datetime, longest: timedelta) -> Asked:
        units = parameters.units or Units.IMPERIAL
        resolution = parameters.resolution or Resolution.RAW
        fields = self._fields(parameters.fields, units, resolution)
        end = parameters.to or now
        start = parameters.from_
        if start is None:
            if self.default_span is None:
                problem = FieldProblem(self.point("from"), "is needed unless a cursor is given")
                raise InvalidParametersError(problem)
            start = end - self.default_span
        span = checked_range(start, end, longest=longest, pointer=self.point("from"))
        return Asked(span, units, resolution, fields)

    def _given_fields(self, parameters: Parameters, asked: Asked) -> tuple[Field, ...] | None:
        if parameters.fields is None:
            return None
        return self._fields(parameters.fields, asked.units, asked.resolution)

    def _fields(self, names: Sequence[str] | None, units: Units, resolution: Resolution) -> tuple[Field, ...]:
        try:
            return chosen_fields(names, units, resolution)
        except UnknownFieldsError as error:
            raise InvalidParametersError(FieldProblem(self.point("fields"), str(error))) from error
