"""`python -m detector.serve`: the container's `serve` command."""

import logging
import os
import socket
import sys
from collections.abc import Mapping

from detector.paths import ContainerPaths
from detector.supervisor import Supervisor
from detector.threads import available_cores

LOG = logging.getLogger(__name__)

DEFAULT_HOST = "0.0.0.0"  # noqa: S104 - SageMaker calls from outside
DEFAULT_PORT = 8080
DEFAULT_MAX_BODY_BYTES = 32 << 20
DEFAULT_TIMEOUT = 60  # seconds; SageMaker waits no longer for an answer
_BACKLOG = 2048


def main(env: Mapping[str, str] = os.environ) -> int:
    """Listen, and keep a worker serving until SIGTERM; requests under way are answered before the end."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="[%(asctime)s %(levelname)s %(process)d] %(message)s"
    )
    host = env.get("DROPSPOT_BIND_HOST", DEFAULT_HOST)
    try:
        port = _whole_number(env, "SAGEMAKER_BIND_TO_PORT", DEFAULT_PORT, 65535)
        max_body_bytes = _whole_number(env, "DROPSPOT_MAX_BODY_BYTES", DEFAULT_MAX_BODY_BYTES, 1 << 30)
        timeout = _whole_number(env, "SAGEMAKER_MODEL_SERVER_TIMEOUT", DEFAULT_TIMEOUT, 3600)
    except ValueError as error:
        LOG.error("cannot serve: %s", error)
        return 1
    try:
        listener = _listening(host, port)
    except OSError as error:
        LOG.error("cannot listen on %s:%d: %s", host, port, error.strerror or error)
        return 1

    def work(channel: socket.socket) -> int:
        from detector import worker  # noqa: PLC0415 - the supervisor stays small

        folder = ContainerPaths.from_env(env).model
        run_id = env.get("DROPSPOT_RUN_ID", "")
        options = worker.Options(folder, available_cores(), max_body_bytes, float(timeout), run_id)
        return worker.work(listener, channel, options)

    LOG.info("listening on %s:%d", host, listener.getsockname()[1])
    return Supervisor(listener, work).run()


def _whole_number(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = env.get(name, str(default))
    if not given.isdecimal() or not 1 <= int(given) <= most:
        raise ValueError(f"{name} is {given!r}, not a whole number from 1 to {most}")
    return int(given)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    # Connections inherit it. Without, an answer's second packet waits 40 ms for the client to acknowledge its first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


if __name__ == "__main__":
    raise SystemExit(main())
