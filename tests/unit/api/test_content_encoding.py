"""Compressed bodies are read within a bound; an encoding that cannot be read is named."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from headrace.core.settings import Settings
from tests.bench import Bench
from tests.unit.api.test_bad_input import CHAT, JOBS, TEXT, chat

BODY = json.dumps({"prompt": "hello", "max_tokens": 3}).encode()
PACKED = gzip.compress(BODY, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def post(client: FlaskClient, body: bytes, encoding: str, path: str = JOBS) -> TestResponse:
    return client.post(path, data=body, headers={"Content-Encoding": encoding})


def error_of(response: TestResponse) -> tuple[int, str, str]:
    assert response.json is not None
    error = response.json["error"]
    return response.status_code, error["param"], error["code"]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("identity, gzip", gzip.compress),
        ("", bytes),
    ],
)
def test_a_compressed_body_is_read(
    client: FlaskClient, bench: Bench, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    response = post(client, compress(BODY), encoding)

    assert response.status_code == 202, response.text
    request = bench.queue.get(response.headers["X-Headrace-Job-Id"]).request
    assert (len(request.prompt_ids), request.sampling.max_tokens) == (5, 3)


def test_every_front_door_reads_it(served: FlaskClient) -> None:
    text = post(served, gzip.compress(BODY), "gzip", TEXT)
    talk = post(served, gzip.compress(json.dumps(chat(max_tokens=2)).encode()), "gzip", CHAT)
    assert [text.status_code, talk.status_code] == [200, 200]


def test_a_chunked_body_is_read(client: FlaskClient) -> None:
    response = client.post(
        JOBS,
        input_stream=io.BytesIO(gzip.compress(BODY)),
        headers={"Content-Encoding": "gzip"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert response.status_code == 202


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip,br", "x" * 500])
def test_another_encoding_is_refused_by_its_name(
    client: FlaskClient, bench: Bench, encoding: str
) -> None:
    response = post(client, BODY, encoding)

    assert error_of(response) == (415, "Content-Encoding", "unsupported_encoding")
    assert response.json is not None
    assert encoding[:20] in response.json["error"]["message"]
    assert response.headers["Accept-Encoding"] == "gzip, deflate"
    assert bench.queue.waiting() == 0


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", BODY),
        ("gzip", PACKED[:-9]),
        ("gzip", PACKED[:5]),
        ("gzip", PACKED + b"more"),
        ("gzip", PACKED * 2),
        ("gzip", PACKED[:-8] + b"\0" * 8),
        ("deflate", BODY),
        ("deflate", zlib.compress(BODY)[:-5]),
    ],
)
def test_a_body_that_is_not_what_it_says_is_a_bad_request(
    client: FlaskClient, encoding: str, body: bytes
) -> None:
    response = post(client, body, encoding)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == "body"
    assert encoding in response.json["error"]["message"]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
def test_a_bomb_is_refused_before_it_takes_memory(
    client: FlaskClient, settings: Settings, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    bomb = compress(b" " * 200_000_000)
    assert len(bomb) < settings.max_body_bytes

    tracemalloc.start()
    response = post(client, bomb, encoding)
    _size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert error_of(response) == (413, "body", "body_too_large")
    assert peak < 5 * settings.max_body_bytes


def test_a_body_as_long_as_is_allowed_is_read_and_a_longer_one_not(
    client: FlaskClient, settings: Settings
) -> None:
    whole = BODY + b" " * (settings.max_body_bytes - len(BODY))

    assert post(client, gzip.compress(whole), "gzip").status_code == 202
    assert post(client, gzip.compress(whole + b" "), "gzip").status_code == 413


def test_a_key_means_the_same_body_compressed_or_not(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "once"}
    plain = client.post(JOBS, data=BODY, headers=headers)
    packed = client.post(
        JOBS, data=gzip.compress(BODY), headers=headers | {"Content-Encoding": "gzip"}
    )
    assert packed.headers["X-Headrace-Job-Id"] == plain.headers["X-Headrace-Job-Id"]
