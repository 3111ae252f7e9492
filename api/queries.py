"""What may stand behind the `?` of an address: strict, an unknown name or value is refused."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema
from werkzeug.datastructures import MultiDict

from api.job_stream import PLACE
from api.json_text import parse_json
from api.schemas import LIMITED_BY, ChatBody, CompletionBody
from headrace.core.errors import InvalidRequest
from headrace.core.types import JobState

MAX_LISTED = 1000

HINTS = frozenset({"api-version"})
"""Parameters that clients of Azure's API send to every address."""

BODY_FIELDS = ChatBody.model_fields.keys() | CompletionBody.model_fields.keys()


def _as_json(text: Any) -> Any:
    """Numbers and flags stand there as JSON writes them."""
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return text


FromText = BeforeValidator(_as_json)
Limit = Annotated[int, Field(ge=1, le=MAX_LISTED), FromText]
Seconds = Annotated[float, Field(ge=0), FromText]
Flag = Annotated[bool, FromText]


class Query(BaseModel):
    """Takes no parameters; what takes some is a subclass."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, asked: MultiDict[str, str]) -> Self:
        """Raises `InvalidRequest`, naming the first parameter that is wrong."""
        for name, values in asked.lists():
            if name not in cls.model_fields:
                cls._pass(name)
            elif len(values) > 1:
                raise InvalidRequest(f"{name}: given more than once", name)
        try:
            own = {name: value for name, value in asked.items() if name in cls.model_fields}
            return cls.model_validate(own)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            name = str(problem["loc"][0])
            raise InvalidRequest(f"{name}: {problem['msg']}", name) from error

    @classmethod
    def _pass(cls, name: str) -> None:
        """Raises `InvalidRequest` for an unknown name: a misspelt one must not be ignored."""
        if name in HINTS:
            return
        takes = f"takes only {', '.join(cls.model_fields)}" if cls.model_fields else "takes none"
        raise _unknown(name, f"no such query parameter; this address {takes}")


class OpenAiQuery(Query):
    """Takes none either; what clients of OpenAI's routes send along changes no answer."""

    @classmethod
    def _pass(cls, name: str) -> None:
        """Raises `InvalidRequest` for what counts elsewhere, and nothing here."""
        if name in BODY_FIELDS:
            raise _unknown(
                name, "no query parameter; such fields belong in the JSON body of a request"
            )
        if name in OWN_PARAMETERS:
            super()._pass(name)


def _unknown(name: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{name}: {reason}", name, "unknown_parameter")


class WaitQuery(Query):
    wait: Annotated[
        Seconds,
        Field(
            description="Answer as soon as the job has ended, after so many seconds at the latest.",
            json_schema_extra={LIMITED_BY: "max_wait_s"},
        ),
    ] = 0.0


class StreamQuery(Query):
    after: str = Field(
        "0-0",
        description="The id of an event: the stream goes on behind it. `Last-Event-ID` goes first.",
        json_schema_extra={"pattern": f"^{PLACE.pattern}$"},
    )


class JobsQuery(Query):
    limit: Limit = 20
    state: Annotated[JobState, Field(strict=False)] | SkipJsonSchema[None] = None
    after: str | SkipJsonSchema[None] = Field(
        None, description="The `next_cursor` of an earlier page."
    )


class CancelQuery(Query):
    purge: Annotated[Flag, Field(description="Remove prompt and result as well.")] = False


class DeadQuery(Query):
    limit: Limit = 20


class DecisionsQuery(Query):
    limit: Limit = 20


class PurgeQuery(Query):
    """`older_than_s` has to be there: an address that lost its id purges nothing."""

    older_than_s: Annotated[Seconds, Field(description="How long they have been dead at least.")]


OWN_PARAMETERS = frozenset(name for query in Query.__subclasses__() for name in query.model_fields)
"""Parameters that some address takes."""
