"""What the hosts of a training tell each other beside the arrays that MXNet adds up (see exchange.py).

The first host listens, every other holds one connection to it, and a message is a line of JSON. A host that fails says
why, and one that dies is noticed by its closed connection: each way all the others end with a sentence, even where
MXNet, which would wait for ever, is waiting for the one that is gone.
"""

import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, Any, Protocol

from detector.channels.named_pipe import StoppedError
from detector.hosts.cluster import Cluster, address_of
from dropspot.errors import TransientError

LOG = logging.getLogger(__name__)

PORT = 7070  # on the first host's address
MEETING_SECONDS = 600.0  # that the hosts may take to come: their data may take differently long
_LOOK_SECONDS = 0.2
_KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}  # a vanished host: half a minute


class Peers(Protocol):
    """All hosts of a training, seen from one of them."""

    @property
    def place(self) -> int:
        """Where this host is among them, from 0."""

    @property
    def count(self) -> int:
        """How many they are."""

    def gather(self, value: Any) -> list[Any]:
        """Give a value (of JSON's types), get every host's in order; all hosts must ask, and wait for the last."""


class Alone:
    """A training on one host."""

    place, count = 0, 1

    def gather(self, value: Any) -> list[Any]:
        """Return the one value."""
        return [value]


class Connected:
    """One of several hosts. `lost` is called, on a thread, with a sentence once another has failed; it must not return.

    Made by `meet`.
    """

    def __init__(self, cluster: Cluster, lines: dict[str, socket.socket], lost: Callable[[str], None]) -> None:
        self._cluster, self._lost = cluster, lost
        self._sockets = lines  # by the host at the other end
        self._inboxes: dict[str, queue.SimpleQueue[Any]] = {host: queue.SimpleQueue() for host in lines}
        self._sending = threading.Lock()
        self._closing = False
        for host, line in lines.items():
            for option, value in _KEEPALIVE.items():
                line.setsockopt(socket.IPPROTO_TCP, option, value)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._listen, args=(host, line.makefile("rb")), daemon=True).start()

    @property
    def place(self) -> int:
        return self._cluster.place

    @property
    def count(self) -> int:
        return len(self._cluster.hosts)

    def gather(self, value: Any) -> list[Any]:
        """See Peers."""
        if self.place:
            self._send({"value": value})
            values: list[Any] = self._inboxes[self._cluster.first].get()
            return values
        values = [value, *(self._inboxes[host].get() for host in self._cluster.hosts[1:])]
        self._send({"value": values})
        return values

    def fail(self, sentence: str) -> None:
        """Tell the others why this host ends."""
        self._closing = True
        self._send({"failure": f"host {self._cluster.current} failed: {sentence}"})

    def close(self) -> None:
        """Say that this host is done: from now on a closed connection means nothing."""
        self._closing = True
        self._send({"done": True})
        for line in self._sockets.values():
            line.close()

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._sending:
            for host, line in self._sockets.items():
                try:
                    line.sendall(data)
                except OSError as error:  # whoever listens to that line hears its end, and says so
                    LOG.debug("host %s cannot be told: %s", host, error)

    def _listen(self, host: str, stream: IO[bytes]) -> None:
        try:
            for line in stream:
                message = json.loads(line)
                if "failure" in message:
                    return self._end(str(message["failure"]))
                if "done" in message:
                    return None
                self._inboxes[host].put(message["value"])
        except ConnectionResetError:  # it ended before it had read everything
            return self._end(f"host {host} ended without a word")
        except (OSError, ValueError) as error:
            return self._end(f"host {host} cannot be heard any more: {error}")
        return self._end(f"host {host} ended without a word")

    def _end(self, sentence: str) -> None:
        """Pass a failure on, where this is the host that all the others are connected with, and end."""
        if self._closing:
            return
        self._closing = True
        if self.place == 0:
            self._send({"failure": sentence})
        self._lost(sentence)


def meet(
    cluster: Cluster,
    lost: Callable[[str], None],
    stop: Callable[[], bool],
    seconds: float = MEETING_SECONDS,
) -> Connected:
    """Wait for all hosts, and connect with them.

    Raises TransientError where one doesn't come within the time, StoppedError when told to stop before.
    """
    meeting = _wait_for_all if cluster.place == 0 else _join
    return Connected(cluster, meeting(cluster, stop, time.monotonic() + seconds), lost)


def _wait_for_all(cluster: Cluster, stop: Callable[[], bool], deadline: float) -> dict[str, socket.socket]:
    lines: dict[str, socket.socket] = {}
    with ExitStack() as stack:
        listener = stack.enter_context(
            socket.create_server((address_of(cluster.current), PORT), backlog=len(cluster.hosts))
        )
        listener.settimeout(_LOOK_SECONDS)
        while missing := set(cluster.hosts[1:]) - set(lines):
            _look(stop, deadline, f"hosts that did not come: {', '.join(sorted(missing))}")
            try:
                line = stack.enter_context(listener.accept()[0])
            except TimeoutError:
                continue
            line.settimeout(_LOOK_SECONDS * 10)
            name = _first_line(line)
            if name not in missing:
                LOG.warning("a connection of %r, which is none of the hosts, was closed", name)
                line.close()
                continue
            line.settimeout(None)
            lines[name] = line
        stack.pop_all()  # all are kept
        listener.close()
    return lines


def _first_line(line: socket.socket) -> str:
    """Read the name that a new connection gives, byte by byte: what follows it is for another reader."""
    name = b""
    try:
        while not name.endswith(b"\n") and len(name) < 256:
            byte = line.recv(1)
            if not byte:
                break
            name += byte
    except OSError as error:
        LOG.warning("a new connection said nothing: %s", error)
    return name.decode(errors="replace").strip()


def _join(cluster: Cluster, stop: Callable[[], bool], deadline: float) -> dict[str, socket.socket]:
    reason: OSError | None = None
    while True:
        _look(stop, deadline, f"host {cluster.first} cannot be reached: {reason}")
        try:
            line = socket.create_connection((address_of(cluster.first), PORT), timeout=_LOOK_SECONDS * 10)
        except OSError as error:  # it hasn't come yet, or its name isn't known yet
            reason = error
            time.sleep(_LOOK_SECONDS)
            continue
        line.settimeout(None)
        line.sendall(cluster.current.encode() + b"\n")
        return {cluster.first: line}


def _look(stop: Callable[[], bool], deadline: float, sentence: str) -> None:
    if stop():
        raise StoppedError
    if time.monotonic() > deadline:
        raise TransientError(sentence)
