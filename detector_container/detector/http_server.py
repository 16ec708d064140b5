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

from detector.connection import Connection
from detector.messages import Application

LOG = logging.getLogger(__name__)

_CONNECTIONS = 512  # a thread takes some tens of kilobytes
_DRAIN_SECONDS = 25.0  # SageMaker kills 30 s after SIGTERM
_RETRY_SECONDS = 0.1  # where the process has no descriptor or thread left


class HttpServer:
    """Serves a listening socket."""

    def __init__(self, listener: socket.socket, application: Application, most: int = _CONNECTIONS) -> None:
        self._listener = listener
        self._application = application
        self._most = most
        self._connections: set[Connection] = set()
        self._changed = threading.Condition()  # of the connections
        self._stopped, self._stopping = socket.socketpair()

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
            LOG.warning("cannot accept a connection: %s", error.strerror)
            time.sleep(_RETRY_SECONDS)
            return
        connection = Connection(client, self._application)
        with self._changed:
            if len(self._connections) >= self._most and not self._make_room():
                client.close()
                return
            self._connections.add(connection)
        try:
            threading.Thread(target=self._serve_one, args=(connection,), name="connection", daemon=True).start()
        except RuntimeError as error:
            LOG.warning("cannot serve a connection: %s", error)
            client.close()
            self._forget(connection)
            time.sleep(_RETRY_SECONDS)

    def _make_room(self) -> bool:
        """End the connection that has waited for its client longest; False: none does."""
        waiting = [(since, one) for one in self._connections if (since := one.waits_since) is not None]
        if waiting:
            min(waiting, key=lambda pair: pair[0])[1].stop(patient=False)
        return bool(waiting)

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
                connection.stop(patient=True)
            self._changed.wait_for(lambda: not self._connections, _DRAIN_SECONDS)
