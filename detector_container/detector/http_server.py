"""Accept connections and give each a thread; end them in order.

A thread of its own, not an event loop: with as many clients as cores, every picture that goes from a loop to a thread
and back leaves a core idle for a moment, twice.
"""

import contextlib
import logging
import selectors
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from detector.connection import Connection
from detector.messages import Application

LOG = logging.getLogger(__name__)

_CONNECTIONS = 512  # a thread takes some tens of kilobytes of memory, and 8 MB of addresses
_DRAIN_SECONDS = 25.0  # SageMaker kills 30 s after SIGTERM
_RETRY_SECONDS = 0.1  # where there is no descriptor or thread left


class HttpServer:
    """Serves a listening socket."""

    def __init__(self, listener: socket.socket, application: Application, most: int = _CONNECTIONS) -> None:
        self._listener = listener
        self._application = application
        self._most = most
        self._connections: set[Connection] = set()
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="connection")
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
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # it has gone away meanwhile
            return
        except OSError as error:
            self._relieve(error)
            return
        if not self._has_room():
            client.close()
            return
        connection = Connection(client, self._application)
        with self._changed:
            self._connections.add(connection)
        try:
            self._threads.submit(self._serve_one, connection)
        except RuntimeError as error:  # there is no other thread: one that has ended its connection will take it
            self._relieve(error)

    def _has_room(self) -> bool:
        """Make room for another connection, in the place of that which has waited for its client longest."""
        with self._changed:
            if len(self._connections) < self._most:
                return True
            self._end_one()
            return self._changed.wait_for(lambda: len(self._connections) < self._most, _RETRY_SECONDS)

    def _end_one(self) -> None:
        waiting = [(since, one) for one in self._connections if (since := one.waits_since) is not None]
        if waiting:
            min(waiting, key=lambda pair: pair[0])[1].end()

    def _relieve(self, error: Exception) -> None:
        LOG.warning("there is no room for another connection (%s): one is ended", error)
        with self._changed:
            self._end_one()
        time.sleep(_RETRY_SECONDS)

    def _serve_one(self, connection: Connection) -> None:
        try:
            connection.serve()
        except Exception:
            LOG.exception("a connection failed")
        finally:
            with self._changed:
                self._connections.discard(connection)
                self._changed.notify_all()

    def _drain(self) -> None:
        with self._changed:
            for connection in self._connections:
                connection.stop()
            self._changed.wait_for(lambda: not self._connections, _DRAIN_SECONDS)
        self._threads.shutdown(wait=False)
