"""The bodies of requests that are kept in memory: how many bytes together, and who makes room where there is none.

Clients that send most of a large picture and then nothing more would otherwise keep everybody out. What a body has is
compared, not how fast it comes: a byte now and then would make any pace look like progress.
"""

import threading

_TIMES = 4  # what another will have at most, a body has already that makes room for it


class Body:
    """What has come of a request's body."""

    def __init__(self, announced: int = 0) -> None:
        self.length = 0  # of what has come, in bytes
        self.has_made_room = False  # for another: nothing is left of it, and its request is to be refused
        self._first = b""  # as it came: mostly that is all
        self._others = bytearray()
        self._announced = announced  # bytes, where the client says

    def add(self, chunk: bytes) -> None:
        """Add what has come next."""
        if self.length:
            self._others += chunk
        else:
            self._first = chunk
        self.length += len(chunk)

    def size(self) -> int:
        """Return how many bytes it will have, as far as is known."""
        return max(self._announced, self.length)

    def make_room(self) -> None:
        """Forget what has come: its time is over."""
        self._first, self._others = b"", bytearray()
        self.length = 0
        self.has_made_room = True

    def take(self) -> bytes:
        """Return what has come, and keep nothing of it but its length."""
        data = self._first + self._others if self._others else self._first
        self._first, self._others = b"", bytearray()
        return data


class Bodies:
    """All bodies that many threads read: together no more bytes than there is room for, and a packet each."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._bytes = 0
        self._coming: set[Body] = set()  # and not complete
        self._lock = threading.Lock()

    def begin(self, body: Body) -> None:
        """Expect a body; it may have to make room for another until it is complete."""
        with self._lock:
            self._coming.add(body)

    def keep(self, body: Body, chunk: bytes) -> bool:
        """Add what has come, if need be in the place of a much larger body; False: the body is to be refused."""
        with self._lock:
            if body.has_made_room:
                return False
            body.add(chunk)
            self._bytes += len(chunk)
            while self._bytes > self._room:
                largest = max(self._coming, key=lambda other: other.length)
                if largest.length < _TIMES * body.size():
                    return False
                self._forget(largest)
                largest.make_room()
            return True

    def complete(self, body: Body) -> bool:
        """Keep a body until it is forgotten: its picture is looked at. False: it has made room at the last moment."""
        with self._lock:
            self._coming.discard(body)
            return not body.has_made_room

    def forget(self, body: Body) -> None:
        """Its bytes are needed no longer."""
        with self._lock:
            self._forget(body)

    def _forget(self, body: Body) -> None:
        self._coming.discard(body)
        self._bytes -= body.length
