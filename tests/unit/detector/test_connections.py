"""What clients of the real server may do with a connection besides sending one request after the other."""

import json
import re
import select
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from unit.detector.live_server import LiveServer, answered, received
from unit.detector.slow_pictures import picture

pytestmark = pytest.mark.serving

PING = b"GET /ping HTTP/1.1\r\nhost: here\r\n\r\n"
LAST = b"GET /ping HTTP/1.1\r\nhost: here\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n"
OFFERS = {
    "curl": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    "websocket": b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: keep-alive, Upgrade\r\n",
    "twice": b"Upgrade: a/1\r\nConnection: upgrade\r\nUPGRADE: b\r\nX-Empty:\r\n",
}


def posted(headers: bytes = b"", chunked: bool = False) -> bytes:
    """Return a request to look at the picture."""
    body, length = picture(), b"content-length: %d\r\n" % len(picture())
    if chunked:
        half = len(body) // 2
        parts = (b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:], b""))
        body, length = b"".join(parts), b"transfer-encoding: chunked\r\n"
    return (
        b"POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: image/jpeg\r\n" + headers + length + b"\r\n" + body
    )


def statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+)", answers)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("offer", OFFERS)
def test_who_offers_another_protocol_is_answered_in_this_one(offer: str, chunked: bool, server: LiveServer) -> None:
    with server.connect() as client:
        for _ in range(2):  # the connection stays
            client.sendall(posted(OFFERS[offer], chunked))
            head, _, body = answered(client).partition(b"\r\n\r\n")
            assert statuses(head) == [b"200"]
            assert json.loads(body)["prediction"] == server.post(picture()).json()["prediction"]
        client.sendall(PING)
        assert statuses(answered(client)) == [b"200"]


def test_what_comes_behind_an_offer_is_answered_too(server: LiveServer) -> None:
    offered = [posted(offer, chunked) for offer in OFFERS.values() for chunked in (False, True)]
    with server.connect() as client:
        client.sendall(b"".join([PING, *offered, PING, LAST]))
        answers = received(client)
    assert statuses(answers) == [b"200"] * 9
    assert answers.count(b"prediction") == 6


@pytest.mark.parametrize("chunked", [False, True])
def test_an_offer_may_be_cut_anywhere(chunked: bool, server: LiveServer) -> None:
    request = posted(OFFERS["curl"], chunked)
    end = request.index(b"\r\n\r\n") + 4
    for place in (9, end - 70, end - 3, end - 2, end - 1, end, end + 1, end + 2, end + 5, len(request) - 1):
        with server.connect() as client:
            client.sendall(request[:place])
            time.sleep(0.02)
            client.sendall(request[place:] + LAST)
            assert statuses(received(client)) == [b"200", b"200"]
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request[: end + 5]:
            client.sendall(bytes((byte,)))
            time.sleep(0.001)
        client.sendall(request[end + 5 :] + LAST)
        assert statuses(received(client)) == [b"200", b"200"]


def test_an_offer_does_not_make_up_for_what_is_no_request(server: LiveServer) -> None:
    for request in (
        posted(OFFERS["curl"] + b"content-length: 5\r\n"),
        posted(OFFERS["curl"] + b"content-length: 5\r\n", chunked=True),
        b"CONNECT / HTTP/1.1\r\nhost: here\r\n\r\n" + PING,
        b"CONNECT http://here/ HTTP/1.1\r\nhost: here\r\n\r\n" + PING,
    ):
        with server.connect() as client:
            client.sendall(request)
            assert statuses(received(client)) == [b"400"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (posted(), [b"200"]),
        (posted(chunked=True), [b"200"]),
        (posted(OFFERS["curl"]), [b"200"]),
        (posted() * 3, [b"200"] * 3),
        (posted() * 2 + PING[:9], [b"200"] * 2),
        (posted() * 2 + posted()[:-1], [b"200"] * 2),
        (posted() + b"\0\1\2\r\n\r\n", [b"200", b"400"]),
        (PING, [b"200"]),
    ],
    ids=["one", "chunked", "offer", "three", "half a head", "half a body", "no HTTP", "ping"],
)
def test_who_has_asked_may_end_its_side_and_is_answered(sent: bytes, told: list[bytes], server: LiveServer) -> None:
    with server.connect() as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answers = received(client)  # and the server ends its side after the last
    assert statuses(answers) == told


@pytest.mark.parametrize("sent", [b"", PING[:9], posted()[:-1], posted(OFFERS["curl"])[:-1]])
def test_who_ends_its_side_and_asks_nothing_is_let_go(sent: bytes, server: LiveServer) -> None:
    with server.connect() as client:
        client.sendall(sent)
        began = time.monotonic()
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b""
        assert time.monotonic() - began < 5


def test_connections_of_which_one_side_has_ended_leave_nothing_behind(server: LiveServer) -> None:
    descriptors = Path(f"/proc/{server.workers()[0]}/fd")
    at_first = len(list(descriptors.iterdir()))
    for sent in (posted(), posted()[:-1], posted() * 2 + posted()[:-1], PING + PING[:9]) * 5:
        with server.connect() as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)  # and goes away without reading
    with server.connect() as client:
        client.sendall(posted() + LAST)
        received(client)
    deadline = time.monotonic() + 5
    while len(list(descriptors.iterdir())) > at_first and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(list(descriptors.iterdir())) <= at_first


def test_clients_that_keep_back_the_end_of_large_pictures_keep_nobody_out(model_root: Path) -> None:
    with LiveServer(model_root, DROPSPOT_MAX_BODY_BYTES="2000000") as server, ExitStack() as stack:
        hoarders = [stack.enter_context(server.connect()) for _ in range(4)]
        head = posted().partition(b"content-length")[0] + b"content-length: 2000000\r\n\r\n"
        for hoarder in hoarders:
            hoarder.sendall(head + bytes(1_999_999))
        time.sleep(0.3)  # until all has been read
        assert [server.post(picture()).status_code for _ in range(3)] == [200] * 3
        (told,) = select.select(hoarders, [], [], 1)[0]  # one of them has made room
        assert statuses(answered(told)) == [b"503"]
        for hoarder in hoarders:
            hoarder.sendall(b"\0" + LAST)
        assert sorted(statuses(received(hoarder)) for hoarder in hoarders) == [[b"200"], *[[b"400", b"200"]] * 3]
