"""The embedded cloud's server: ministack, the hooks and the SageMaker plug-in, on 127.0.0.1 alone.

Importing this imports ministack, which reads its settings then: the environment must hold them
(settings.server_environment).
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app

from dropspot_local import hooks, processes
from dropspot_local.images import ImageTable
from dropspot_local.sagemaker.plugin import SageMakerPlugin
from dropspot_local.settings import HOST


def run(root: Path, state: Path, port: int, descriptor: int | None, images: ImageTable) -> None:
    """Serve until SIGTERM or SIGINT, then end every job, endpoint and Lambda worker.

    `descriptor` is a socket bound to the port, where the caller has one; otherwise the port is bound here.
    """
    bind = f"{HOST}:{port}" if descriptor is None else f"fd://{descriptor}"
    asyncio.run(_serve(root, state, port, bind, images))


async def _serve(root: Path, state: Path, port: int, bind: str, images: ImageTable) -> None:
    plugin = SageMakerPlugin(root=root, state=state, endpoint_url=f"http://{HOST}:{port}", images=images)
    hooks.install(root, plugin)
    config = Config()
    config.bind = [bind]
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
        await serve(app.app, config, shutdown_trigger=stop)
    finally:
        processes.end_marked(state, but=[os.getpid()])
