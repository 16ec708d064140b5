"""`python -m dropspot_local`: the embedded cloud's server in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from dropspot_local import images, processes
from dropspot_local.cloud import CloudError, claim
from dropspot_local.settings import server_environment


def main() -> None:
    """Serve the cloud of a checkout."""
    parser = argparse.ArgumentParser(prog="python -m dropspot_local", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the project's checkout")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="state folder, as a rule ROOT/.dropspot")
    parser.add_argument("--descriptor", type=int, help="file descriptor of a socket that is bound to the port already")
    parser.add_argument("--images", type=Path, help="JSON table of images to use instead of the checkout's")
    options = parser.parse_args()
    root, state = options.root.resolve(), options.state.resolve()
    try:
        claim(state)
    except CloudError as error:
        parser.error(str(error))
    (state / "tmp").mkdir(exist_ok=True)
    if processes.MARK not in os.environ:
        # ministack reads its settings while it is imported, and /proc shows the environment that a process was started
        # with: start again with everything set.
        environment = {**os.environ, **server_environment(state, options.port)}
        os.execve(sys.executable, [sys.executable, "-m", "dropspot_local", *sys.argv[1:]], environment)  # noqa: S606
    table = images.read_images(options.images) if options.images else images.checkout_images(root)
    importlib.import_module("dropspot_local.server").run(root, state, options.port, options.descriptor, table)


if __name__ == "__main__":
    main()
