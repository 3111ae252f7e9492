"""Our names beside those that OpenTelemetry publishes."""

from __future__ import annotations

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as published

from headrace.core import genai_attributes as ours
from headrace.core.jobs.job import Report
from headrace.core.types import Sampling
from tests.fakes import make_request

OUTDATED = {"gen_ai.system", "gen_ai.completion", "gen_ai.prompt"}


def test_every_name_is_one_that_opentelemetry_publishes() -> None:
    names = {name for name in vars(ours).values() if str(name).startswith("gen_ai.")}
    known = {name for name in vars(published).values() if str(name).startswith("gen_ai.")}
    assert len(names) > 12
    assert names <= known - OUTDATED


def test_a_chat_is_called_chat() -> None:
    operations = {ours.operation_of(make_request(is_chat=chat)) for chat in (True, False)}
    values = published.GenAiOperationNameValues
    assert operations == {values.CHAT.value, values.TEXT_COMPLETION.value}


def test_what_was_asked_and_what_came_of_it() -> None:
    asked = ours.of_request(make_request(sampling=Sampling(5, json_schema="{}")))
    assert asked[ours.OUTPUT_TYPE] == published.GenAiOutputTypeValues.JSON.value
    came = ours.of_report(Report(model="tiny", cached_tokens=3))
    assert (came[ours.RESPONSE_MODEL], came[ours.CACHE_READ_TOKENS]) == ("tiny", 3)
