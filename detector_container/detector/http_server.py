"""Accept connections and give each a thread; end them in order.

A thread of its own, not an event loop: with as many clients as cores, every picture that goes from a loop to a thread
and back leaves a core idle for a moment, twice.
"""

import _thread
import contextlib
import logging
import selectors
import socket
import threading
import time

from detector.connection import Connection
from detector.messages import Application

LOG = logging.getLogger(__name__)

_CONNECTIONS = 512  # a thread takes some tens of kilobytes of memory, and 8 MB of addresses
_DRAIN_SECONDS = 25.0  # SageMaker kills 30 s after SIGTERM
_RETRY_SECONDS = 0.1  # where there is no room for a connection
_WARNING_SECONDS = 1.0  # between two warnings of that


class HttpServer:
    """Serves a listening socket."""

    def __init__(self, listener: socket.socket, application: Application, most: int = _CONNECTIONS) -> None:
        self._listener = listener
        self._application = application
        self._most = most
        self._connections: set[Connection] = set()
        self._warned = 0.0
        self._changed = threading.Condition()  # of the connections
        self._stopped, self._stopping = socket.socketpair()

    @property
    def connections(self) -> int:
        """Return how many there are."""
        return len(self._connections)

    def stop(self) -> None:
        """Take no new connections and end; from any thread, or a signal's handler."""
        with contextlib.suppress(OSError):  # it has ended already
            self._stopping.send(b"1")

    def serve(self, ending: socket.socket | None = None) -> None:
        """Serve until `stop`, or until `ending` can be read; requests under way are answered before the end."""
        self._listener.setblocking(False)
        with self._listener, self._stopped, self._stopping, selectors.DefaultSelector() as selector:
            for waker in filter(None, (self._listener, self._stopped, ending)):
                selector.register(waker, selectors.EVENT_READ)
            while not (ready := {key.fileobj for key, _ in selector.select()}) - {self._listener}:
                if ready:
                    self._accept()
        self._drain()

    def _accept(self) -> None:
        client = None
        try:
            client, _ = self._listener.accept()
            if self._has_room():
                self._begin(client)
            else:
                client.close()
        except (BlockingIOError, ConnectionError):  # it has gone away meanwhile
            return
        except (OSError, RuntimeError, MemoryError) as error:  # no descriptor, no thread, no memory
            if client is not None:
                client.close()
            self._relieve(error)

    def _begin(self, client: socket.socket) -> None:
        connection = Connection(client, self._application)
        with self._changed:
            self._connections.add(connection)
        try:
            _thread.start_new_thread(self._serve_one, (connection,))  # and not wait until it runs, as Thread.start does
        except BaseException:
            self._forget(connection)
            raise

    def _has_room(self) -> bool:
        with self._changed:
            return len(self._connections) < self._most or self._make_room()

    def _make_room(self) -> bool:
        """End the connection that has waited for its client longest; False: none has ended within a moment."""
        waiting = [(since, one) for one in self._connections if (since := one.waits_since) is not None]
        if waiting:
            min(waiting, key=lambda pair: pair[0])[1].end()
        before = len(self._connections)
        return self._changed.wait_for(lambda: len(self._connections) < before, _RETRY_SECONDS)

    def _relieve(self, error: Exception) -> None:
        if time.monotonic() > self._warned + _WARNING_SECONDS:
            LOG.warning(
                "there is no room for another connection (%s): one is ended", str(error) or type(error).__name__
            )
            self._warned = time.monotonic()
        with self._changed:
            self._make_room()

    def _serve_one(self, connection: Connection) -> None:
        try:
            connection.serve()
        except Exception:
            LOG.exception("a connection failed")
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()

    def _drain(self) -> None:
        with self._changed:
            for connection in self._connections:
                connection.stop()
            self._changed.wait_for(lambda: not self._connections, _DRAIN_SECONDS)
