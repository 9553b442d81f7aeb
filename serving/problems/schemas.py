"""The problem document's shape (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"


class FieldProblemRead(BaseModel):
    """One parameter that is not valid."""

    pointer: str = Field(
        description='JSON Pointer as URI fragment into `{"path": …, "query": …, "body": …}`.',
        examples=["#/query/from"],
    )
    detail: str = Field(description="What is wrong with it.", examples=["a time needs its offset, or Z"])


class ProblemRead(BaseModel):
    """An error. Decide by `type` and `status`; `title` and `detail` are for people and may change."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(
        description="Stable name of the kind of problem; `about:blank` where the status says everything.",
        examples=["urn:piston:problem:vehicle-not-found"],
    )
    title: str = Field(description="The kind of problem in words.", examples=["No such vehicle"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="What happened here and what to do.")
    instance: str = Field(
        description="Names this one answer, and so its `X-Request-Id`; quote it when you ask us.",
        examples=["urn:piston:request:7f9c24e8-3b0c-4d6e-9a38-0c5a2f1e7d11"],
    )
    errors: list[FieldProblemRead] | None = Field(
        None, description="Each parameter that is not valid; left out where no single one is at fault."
    )
