"""Requests out of bytes, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.messages import Request
from detector.request_parser import MOST_BESIDES, End, MalformedError, RequestParser

PING = b"GET /ping HTTP/1.1\r\nhost: here\r\n\r\n"
POSTED = b"POST /invocations?a=%2F HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nlast: one\r\n\r\n"
OFFER = b"GET /ping HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def read(*parts: bytes) -> list[object]:
    """Return the events with whole bodies, ends as None and errors as their sentences."""
    parser, events, body = RequestParser(), [], bytearray()
    for part in parts:
        parser.feed(part)
    for event in parser.events:
        if isinstance(event, bytes):
            body += event
            continue
        if body:
            events.append(bytes(body))
            body.clear()
        if isinstance(event, MalformedError):
            events.append(str(event))
        else:
            events.append(None if isinstance(event, End) else event)
    return [*events, bytes(body)] if body else events


def test_a_request_is_a_head_a_body_and_an_end() -> None:
    assert read(PING, POSTED) == [
        Request("GET", "/ping", {"host": "here"}),
        None,
        Request("POST", "/invocations", {"host": "here", "content-length": "5"}),
        b"abcde",
        None,
    ]
    assert read(CHUNKED)[1:] == [b"abcde", None]


def test_the_lines_of_one_header_are_a_list() -> None:
    (request, _) = read(b"GET / HTTP/1.1\r\nAccept: a\r\nx: \xe9\r\naccept: b;c\r\n\r\n")
    assert isinstance(request, Request)
    assert request.headers == {"accept": "a, b;c", "x": "\xe9"}


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"/a%20b%2f?x=1#y", "/a b/"),
        (b"http://here/ping", "/ping"),
        (b"http://here", "/"),
        (b"//here/ping", "//here/ping"),
        (b"*", "*"),
        (b"/%ff%", "/\ufffd%"),
    ],
)
def test_the_path_is_decoded_and_without_the_query(line: bytes, path: str) -> None:
    (request, _) = read(b"GET %b HTTP/1.1\r\n\r\n" % line)
    assert isinstance(request, Request)
    assert request.path == path


@pytest.mark.parametrize(
    ("line", "keep_alive"),
    [
        (b"HTTP/1.1\r\n", True),
        (b"HTTP/1.1\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0\r\n", False),
        (b"HTTP/1.0\r\nconnection: keep-alive\r\n", True),
    ],
)
def test_it_knows_whether_another_may_follow(line: bytes, keep_alive: bool) -> None:
    (request, _) = read(b"GET / %b\r\n" % line)
    assert isinstance(request, Request)
    assert request.keep_alive is keep_alive
    assert request.version == line[5:8].decode()


def test_an_offer_of_another_protocol_is_a_request_in_this_one() -> None:
    (offered, end, *rest) = read(OFFER + POSTED)
    assert isinstance(offered, Request)
    assert (offered.path, end, len(rest)) == ("/ping", None, 3)
    assert "upgrade" not in offered.headers


@pytest.mark.parametrize(
    "wrong",
    [
        b"\0\1\2\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 1_0\r\n\r\n",
        b"CONNECT here:80 HTTP/1.1\r\n\r\n",
        b"GET here HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_what_can_be_read(wrong: bytes) -> None:
    events = read(PING, wrong, PING)
    assert events[:2] == read(PING)
    assert events[-1] == "Invalid HTTP request received."
    assert len(events) == 3


def test_all_but_the_body_is_limited() -> None:
    line = b"name: " + b"x" * 1000 + b"\r\n"
    few, many = MOST_BESIDES // 1100, MOST_BESIDES // 1000 + 1
    assert len(read(b"GET / HTTP/1.1\r\n", *[line] * few, b"\r\n")) == 2
    assert read(b"GET / HTTP/1.1\r\n", *[line] * many) == ["The request's head is too large."]
    assert read(b"GET /", *[b"x" * 1000] * many) == ["The request's head is too large."]
    too_much = "The request has too much besides its body."
    trailers = read(CHUNKED[:-2], *[line] * many)
    assert trailers[-1] == too_much
    beginning = CHUNKED.partition(b"3\r\n")[0]
    assert read(beginning, *[b"1\r\nx\r\n"] * (MOST_BESIDES // 4))[-1] == too_much
    assert read(beginning, b"1\r\nx\r\n" * (MOST_BESIDES // 4) + b"0\r\n\r\n", PING)[-1] is None  # all in one packet
    small_chunks = [b"400\r\n%b\r\n" % bytes(1024)] * (32 << 10)  # of a picture of 32 MiB
    assert [len(event) for event in read(beginning, *small_chunks) if isinstance(event, bytes)] == [32 << 20]
    at_once = read(CHUNKED[:-2] + b"x", *[line] * many)  # what comes with the head is no credit for what follows
    assert at_once[-1] == too_much
    length = 10 * MOST_BESIDES
    body = read(b"GET / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % length, *[bytes(MOST_BESIDES)] * 10)
    assert body[1:] == [bytes(length), None]


@given(
    stream=st.lists(st.sampled_from([PING, POSTED, CHUNKED, OFFER, b"\r\n"]), min_size=1, max_size=6).map(b"".join),
    spoilt=st.binary(max_size=3),
    data=st.data(),
)
def test_it_does_not_matter_where_the_bytes_are_cut(stream: bytes, spoilt: bytes, data: st.DataObject) -> None:
    if spoilt:
        place = data.draw(st.integers(0, len(stream)))
        stream = stream[:place] + spoilt + stream[place:]
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    parts = [stream[start:end] for start, end in pairwise([0, *places, len(stream)])]
    assert read(*parts) == read(stream)
