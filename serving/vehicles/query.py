"""The query parameter of every vehicle resource whose answer has units to choose."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from serving.vehicles.units import Units

UnitsParameter = Annotated[
    Units,
    Field(
        description="`imperial`: miles, mph, feet, under the plain names. `metric`: km, km/h, metres, "
        "under names that end in their unit."
    ),
]


class NoQuery(BaseModel):
    """A resource without a query. An unknown parameter is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")


class UnitsQuery(BaseModel):
    """Query of a resource without a range. An unknown parameter is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")

    units: UnitsParameter = Units.IMPERIAL
