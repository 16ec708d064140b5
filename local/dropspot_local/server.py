"""The embedded cloud's server in the foreground: ministack, the hooks and the SageMaker plug-in, on 127.0.0.1 alone."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

from dropspot_local import images, processes

HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "000000000000"
ADMINISTRATOR_KEY = "test"
"""Access key and secret of the account's root user, which ministack's IAM allows everything."""


def server_environment(state: Path, port: int) -> dict[str, str]:
    """What ministack reads from its environment, plus the mark that every process below inherits."""
    return {
        "AUTH": "true",  # enforce execution roles' policies
        "AWS_ACCESS_KEY_ID": ADMINISTRATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,  # handlers inherit this: the operator's own settings are none of their business
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # it would listen on 0.0.0.0:8883
        "SFTP_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(state / "tmp" / "s3"),
        "STATE_DIR": str(state / "tmp" / "ministack"),
        "TMPDIR": str(state / "tmp"),
        **processes.mark(state),
    }


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then end every job, endpoint and Lambda worker before leaving."""
    parser = argparse.ArgumentParser(prog="python -m dropspot_local", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the project's checkout")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="state folder, as a rule ROOT/.dropspot")
    parser.add_argument("--images", type=Path, help="JSON table of images to use instead of the checkout's")
    options = parser.parse_args(arguments)
    root, state = options.root.resolve(), options.state.resolve()
    (state / "tmp").mkdir(parents=True, exist_ok=True)
    wanted = server_environment(state, options.port)
    if processes.MARK not in os.environ:
        # The mark is read from /proc, which shows the environment a process was started with: start again with it.
        os.execve(sys.executable, [sys.executable, "-m", "dropspot_local", *(arguments or sys.argv[1:])], {**os.environ, **wanted})
    os.environ.update(wanted)  # before ministack is imported: its modules read it then
    tempfile.tempdir = None
    table = images.read_images(options.images) if options.images else images.checkout_images(root)
    asyncio.run(serve(root, state, options.port, table))


async def serve(root: Path, state: Path, port: int, table: images.ImageTable) -> None:
    """Run the server on the current loop until a signal asks it to stop."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app

    from dropspot_local import hooks
    from dropspot_local.sagemaker.plugin import SageMakerPlugin

    plugin = SageMakerPlugin(root=root, state=state, endpoint_url=f"http://{HOST}:{port}", images=table)
    hooks.install(root, plugin.handle)
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)

    async def stop() -> None:
        await stopping.wait()
        # Jobs and endpoints first, while the server still answers them: their last log lines arrive.
        await asyncio.to_thread(plugin.close)

    try:
        await hypercorn_serve(app.app, config, shutdown_trigger=stop)  # type: ignore[arg-type]  # ministack's app is untyped
    finally:
        processes.end_marked(state, but=[os.getpid()])
