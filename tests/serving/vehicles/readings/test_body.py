from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from serving.json_body import NotJsonError, parse_json
from serving.problems.errors import InvalidParametersError
from serving.vehicles.readings.body import JsonBody, LineSplitter, MediaType, NdjsonBody, parse_media_type
from serving.vehicles.readings.limits import (
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
    MAX_READINGS,
    MAX_STREAM_BYTES,
    MAX_STREAM_READINGS,
)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def documents(body: JsonBody | NdjsonBody) -> list[object]:
    await body.prepare()
    return [item.document if item.fault is None else item.fault.reason async for item in body.items()]


def split(parts: Iterable[bytes], longest: int = 100) -> list[bytes | None]:
    splitter = LineSplitter(longest)
    return [line for part in parts for line in splitter.feed(part)] + list(splitter.end())


@pytest.mark.parametrize(
    ("content_type", "encoding", "expected"),
    [
        ("application/json", None, MediaType.JSON),
        ("Application/JSON; charset=UTF-8", "identity", MediaType.JSON),
        ("application/x-ndjson", None, MediaType.NDJSON),
    ],
)
def test_two_media_types_are_taken(content_type, encoding, expected):
    assert parse_media_type(content_type, encoding) is expected


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        (None, None),
        ("", None),
        ("text/plain", None),
        ("application/json; charset=latin-1", None),
        ("application/json", "gzip"),
    ],
)
def test_others_are_415(content_type, encoding):
    with pytest.raises(HTTPException) as caught:
        parse_media_type(content_type, encoding)
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"NaN",
        b"[1e400]",
        b'{"a": Infinity}',
        b'{"a":1,"a":2}',
        b'{"b":{"a":1,"a":1}}',
        b"[" * 2000 + b"]" * 2000,
        b"[" * 1010 + b"]" * 1010,
        b'"\xff"',
        b'"\\ud800"',
        b"1" * 5000,
        b"{}{}",
    ],
)
def test_what_is_no_i_json_is_said_so(text):
    with pytest.raises(NotJsonError):
        parse_json(text)


@given(st.binary(max_size=100))
def test_no_bytes_have_a_third_outcome(text):
    try:
        parse_json(text)
    except NotJsonError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "expected", "pointer"),
    [
        (b'{"timestamp":"t"}', [{"timestamp": "t"}], "#/body"),
        (b'[{"a":1},2]', [{"a": 1}, 2], "#/body"),
        (b'{"readings":[1,2]}', [1, 2], "#/body/readings"),
        (b"7", [7], "#/body"),
    ],
)
async def test_a_json_body_is_one_reading_or_a_list(text, expected, pointer):
    body = JsonBody(chunks(text[:3], text[3:]))
    assert await documents(body) == expected
    assert body.pointer == pointer


@pytest.mark.parametrize(
    "text", [b"[]", b'{"readings":[]}', b'{"readings":{}}', b'{"readings":[1],"x":1}', b""]
)
async def test_no_list_of_readings_is_422(text):
    with pytest.raises(InvalidParametersError):
        await JsonBody(chunks(text)).prepare()


@pytest.mark.parametrize("text", [b" " * (MAX_BODY_BYTES + 1), b"[" + b"1," * MAX_READINGS + b"1]"])
async def test_a_json_body_beyond_its_limits_is_413(text):
    with pytest.raises(HTTPException) as caught:
        await JsonBody(chunks(text)).prepare()
    assert caught.value.status_code == 413


async def test_a_json_body_is_read_no_further_than_its_limit():
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 65_536
            yield b" " * 65_536

    with pytest.raises(HTTPException):
        await JsonBody(endless()).prepare()
    assert read <= MAX_BODY_BYTES + 65_536


async def test_lines_come_out_of_any_split_and_blank_ones_do_not_count():
    text = b'{"a":1}\r\n\n  \n{"a":2}\n\xff\n{"a":3}'
    expected = [{"a": 1}, {"a": 2}, "bad_json", {"a": 3}]
    assert await documents(NdjsonBody(chunks(text))) == expected
    assert await documents(NdjsonBody(chunks(*(text[n : n + 1] for n in range(len(text)))))) == expected


async def test_a_line_that_is_too_long_costs_itself_only():
    text = b'{"a":1}\n' + b"x" * (3 * MAX_LINE_BYTES) + b'\n{"a":2}\n'
    halves = (text[: MAX_LINE_BYTES + 9], text[MAX_LINE_BYTES + 9 :])
    assert await documents(NdjsonBody(chunks(*halves))) == [{"a": 1}, "too_long", {"a": 2}]


@pytest.mark.parametrize(
    "parts", [[b"1\n" * (MAX_STREAM_READINGS + 1)], [b" " * (1 << 20)] * ((MAX_STREAM_BYTES >> 20) + 1)]
)
async def test_an_ndjson_body_beyond_its_limits_is_413(parts):
    with pytest.raises(HTTPException) as caught:
        await documents(NdjsonBody(chunks(*parts)))
    assert caught.value.status_code == 413


async def test_the_digest_is_of_the_whole_body_however_it_was_read():
    text = b'{"a":1}\n{"a":2}\n'
    unread, read = NdjsonBody(chunks(text)), NdjsonBody(chunks(text[:5], text[5:]))
    await documents(read)
    assert await read.digest() == await unread.digest() != await NdjsonBody(chunks(text + b"\n")).digest()


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_do_not_depend_on_where_chunks_end(lines, data):
    text = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(parts, longest=8) == split([text], longest=8)
