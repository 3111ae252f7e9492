"""A report of a load test, read back from its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, NonNegativeFloat, TypeAdapter, ValidationError
from pydantic_core import from_json

from headrace.core.errors import InvalidRequest
from headrace.loadtest.report import SCHEMA
from headrace.loadtest.slo import Slo


@dataclass(frozen=True)
class SavedRecords:
    """Columns with a row a request as sent, the warm-up's included; s, from the window's begin.

    What failed has no `e2e_s`.
    """

    at_s: tuple[FiniteFloat, ...]
    measured: tuple[bool, ...]
    e2e_s: tuple[FiniteFloat | None, ...]
    ttft_s: tuple[FiniteFloat | None, ...]
    tpot_s: tuple[FiniteFloat | None, ...]
    input_tokens: tuple[int | None, ...]
    output_tokens: tuple[int, ...]

    def __post_init__(self) -> None:
        if len({len(getattr(self, column.name)) for column in fields(self)}) > 1:
            raise ValueError("the columns differ in length")


@dataclass(frozen=True)
class SavedSpread:
    """`source` says who saw it: the client or the server."""

    source: str


@dataclass(frozen=True)
class SavedBounds:
    """A service level by name, in s."""

    ttft_s: FiniteFloat | None = None
    tpot_s: FiniteFloat | None = None
    e2e_s: FiniteFloat | None = None


@dataclass(frozen=True)
class SavedLevel:
    """Of its load only what its kind has: users, a rate and its arrivals, or a trace's rows."""

    label: Annotated[str, Field(alias="level")]
    kind: str
    valid: bool
    problems: tuple[str, ...]
    began_s: FiniteFloat
    window_s: NonNegativeFloat
    ttft: Annotated[SavedSpread | None, Field(alias="ttft_s")]
    tpot: Annotated[SavedSpread | None, Field(alias="tpot_s")]
    fleet: Mapping[str, Any] | None
    records: SavedRecords
    prompt_tokens: int | None = None
    max_tokens: int | None = None
    concurrency: int | None = None
    rate: FiniteFloat | None = None
    arrivals: str | None = None
    cv: FiniteFloat | None = None
    ramp: Mapping[str, FiniteFloat] | None = None
    speed: FiniteFloat | None = None
    rows: int | None = None
    run: int = 1


@dataclass(frozen=True)
class SavedLoad:
    """The options that all levels share."""

    warmup_s: FiniteFloat
    duration_s: FiniteFloat | None
    requests: int | None
    timeout_s: FiniteFloat
    temperature: FiniteFloat
    prompts_file: str | None
    repeat_prompts: bool
    seed: int
    slo: Slo
    dataset: str | None = None
    repeat: int = 1
    goodput: Mapping[str, SavedBounds] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedReport:
    """`headrace` is the load tester's version, `machine` where it ran."""

    headrace: str
    started_at: str
    url: str
    api: str
    model: str | None
    machine: Mapping[str, str]
    load: SavedLoad
    levels: tuple[SavedLevel, ...]


def read_report(path: Path) -> SavedReport:
    """Raises `InvalidRequest`, naming the file and the field, for whatever is no such report."""
    try:
        text = path.read_bytes()
        _require_schema(from_json(text))
        return TypeAdapter(SavedReport).validate_json(text, strict=True)
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"{path}: {_place(first['loc'])}: {first['msg']}") from error
    except ValueError as error:
        raise InvalidRequest(f"{path}: no JSON: {error}") from error
    except InvalidRequest as error:
        raise InvalidRequest(f"{path}: {error}") from error


def _require_schema(document: Any) -> None:
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise InvalidRequest(f"schema: {schema!r} instead of {SCHEMA!r}")


def _place(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in path)
