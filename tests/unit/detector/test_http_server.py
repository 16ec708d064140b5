"""Connections and their threads, with an application that does what the test wants."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest
from unit.detector.live_server import answered, received

from detector import http_server
from detector.connection import Connection
from detector.http_server import HttpServer
from detector.messages import Application, Receive, Request, Response

SECONDS = 20.0
GET = b"GET / HTTP/1.1\r\n\r\n"
Connect = Callable[[], socket.socket]


def hello(_request: Request, _receive: Receive) -> Response:
    return Response(body=b"hello")


def echo(_request: Request, receive: Receive) -> Response:
    return Response(body=b"".join(receive(SECONDS)))


@contextmanager
def serving(application: Application, most: int = 512) -> Iterator[tuple[Connect, HttpServer]]:
    """Serve; at the end the server must end, and with it every connection's thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    address, server = listener.getsockname(), HttpServer(listener, application, most)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield lambda: socket.create_connection(address, timeout=SECONDS), server
    finally:
        server.stop()
        thread.join(SECONDS)
    assert not thread.is_alive()
    assert server.connections == 0


def until(connections: int, server: HttpServer) -> None:
    """Wait until there are so many."""
    deadline = time.monotonic() + SECONDS
    while server.connections != connections:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def test_it_answers_one_request_after_the_other() -> None:
    with serving(echo) as (connect, _), connect() as client:
        for word in (b"one", b"", b"three"):
            client.sendall(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(word), word))
            assert body(answered(client)) == word


def test_an_answer_has_a_date_and_its_length() -> None:
    with serving(hello) as (connect, _), connect() as client:
        client.sendall(GET)
        head, _, told = answered(client).partition(b"\r\n\r\n")
        assert re.search(rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", head)
        assert told == b"hello"
        client.sendall(b"HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n")
        head = received(client)
        assert b"content-length: 5\r\n" in head
        assert head.endswith(b"connection: close\r\n\r\n")


def test_a_client_of_http_1_0_is_told_when_the_connection_stays() -> None:
    with serving(hello) as (connect, _), connect() as client:
        client.sendall(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert b"connection: keep-alive\r\n" in answered(client)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert body(received(client)) == b"hello"


def test_who_waits_to_be_told_sends_its_body_only_where_it_is_wanted() -> None:
    head = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    with serving(echo) as (connect, _), connect() as client:
        client.sendall(head)
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert body(answered(client)) == b"abc"
        client.sendall(head + b"abc")  # and who does not wait is not told
        assert answered(client).startswith(b"HTTP/1.1 200 OK\r\n")
    with serving(hello) as (connect, _), connect() as client:
        client.sendall(head)
        assert body(answered(client)) == b"hello"
        client.sendall(b"abc" + GET)  # the body which nobody wanted is no request
        assert body(answered(client)) == b"hello"


def test_an_application_that_fails_is_a_500_and_the_connection_stays() -> None:
    def fail(_request: Request, _receive: Receive) -> Response:
        raise OSError("nothing to do with the client")

    with serving(fail) as (connect, _), connect() as client:
        for _ in range(2):
            client.sendall(GET)
            assert body(answered(client)) == b'{"error": "the server failed"}'


def test_where_there_are_too_many_the_one_that_lets_wait_longest_ends() -> None:
    asked, begun, release = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def slow(_request: Request, receive: Receive) -> Response:
        asked.release()
        word = b"".join(receive(SECONDS))
        begun.release()
        assert release.wait(SECONDS)
        return Response(body=word)

    posted = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello"
    with serving(slow, most=3) as (connect, server), connect() as first, connect() as second, connect() as third:
        until(3, server)
        first.sendall(posted)
        assert begun.acquire(timeout=SECONDS)  # and the others have asked for nothing yet
        third.sendall(posted[:-1])
        assert all(asked.acquire(timeout=SECONDS) for _ in range(2))
        with connect() as fourth, connect() as fifth:
            assert received(second) == b""
            assert received(third) == b""  # it has not sent all
            for client in (fourth, fifth):
                client.sendall(posted)
                assert begun.acquire(timeout=SECONDS)
            with connect() as sixth:
                assert received(sixth) == b""  # the server lets all the others wait, not they it
            release.set()
            assert body(answered(first)) == body(answered(fourth)) == body(answered(fifth)) == b"hello"


def test_who_waits_for_an_answer_makes_no_room() -> None:
    begun, release = threading.Event(), threading.Event()

    def slow(_request: Request, _receive: Receive) -> Response:  # and asks for no body
        begun.set()
        assert release.wait(SECONDS)
        return Response(body=b"hello")

    with serving(slow, most=2) as (connect, server), connect() as first, connect() as second:
        until(2, server)
        first.sendall(GET)
        assert begun.wait(SECONDS)
        with connect():
            assert received(second) == b""
            release.set()
            assert body(answered(first)) == b"hello"


@pytest.mark.parametrize("lacking", [OSError(24, "Too many open files"), RuntimeError("can't start"), MemoryError()])
def test_where_a_connection_cannot_be_begun_another_makes_room(
    lacking: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(Connection):
        """The first one meets a lack of something."""

        lacking: ClassVar[list[Exception]] = []

        def __init__(self, client: socket.socket, application: Application) -> None:
            if self.lacking:
                raise self.lacking.pop()
            super().__init__(client, application)

    monkeypatch.setattr(http_server, "Connection", Short)
    with serving(hello) as (connect, server), connect() as idle:
        until(1, server)
        Short.lacking.append(lacking)
        with connect() as refused:
            assert received(refused) == received(idle) == b""
        with connect() as client:
            client.sendall(GET)
            assert body(answered(client)) == b"hello"


def test_who_has_just_been_answered_does_not_let_wait_longest() -> None:
    with serving(hello, most=2) as (connect, server), connect() as first, connect() as second:
        until(2, server)
        first.sendall(GET)
        answered(first)
        with connect() as third:
            assert received(second) == b""
            for client in (third, first):
                client.sendall(GET)
                assert body(answered(client)) == b"hello"


def test_told_to_stop_it_answers_what_is_under_way() -> None:
    begun, release = threading.Event(), threading.Event()

    def slow_at_times(request: Request, _receive: Receive) -> Response:
        if request.path == "/slow":
            begun.set()
            assert release.wait(SECONDS)
        return Response(body=b"hello")

    with serving(slow_at_times) as (connect, server), connect() as busy, connect() as idle, connect() as half:
        for client in (busy, idle, half):
            client.sendall(GET)
            assert body(answered(client)) == b"hello"
        half.sendall(GET[:-2])
        busy.sendall(GET.replace(b"/ ", b"/slow ") + GET)
        assert begun.wait(SECONDS)
        server.stop()
        assert received(idle) == received(half) == b""
        release.set()
        told = received(busy)
        assert told.count(b"HTTP/1.1") == 1  # what came behind it is not begun
        assert b"connection: close\r\n" in told


@pytest.mark.parametrize("last", [b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n", b"\0\0\r\n\r\n"])
def test_told_to_stop_it_waits_for_nobody_who_does_not_close(last: bytes) -> None:
    with serving(hello) as (connect, server), connect() as client:
        client.sendall(last)
        assert received(client)
        began = time.monotonic()
        server.stop()
        until(0, server)
        assert time.monotonic() - began < Connection.seconds / 2


def test_an_answer_that_is_not_taken_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "seconds", 0.2)

    def much(_request: Request, _receive: Receive) -> Response:
        return Response(body=bytes(20 << 20))

    with serving(much) as (connect, server), connect() as client:
        client.sendall(GET)
        until(0, server)
