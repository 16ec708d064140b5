"""`python -m detector.serve`: the container's `serve` command."""

import logging
import os
import signal
import sys

import uvicorn
from PIL import Image

from detector.artifacts import DESCRIPTION
from detector.paths import ContainerPaths
from detector.served_model import ServedModel
from detector.server import DEFAULT_MAX_BODY_BYTES, DetectionServer
from detector.threads import available_cores

LOG = logging.getLogger(__name__)

_DRAIN_SECONDS = 25  # SageMaker kills 30 s after SIGTERM


def main() -> int:
    """Load the model, prove it by an inference, then listen until SIGTERM.

    Requests under way are answered before the end.
    """
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="[%(asctime)s %(levelname)s %(process)d] %(message)s"
    )
    paths = ContainerPaths.from_env()
    host = os.environ.get("DROPSPOT_BIND_HOST", "0.0.0.0")  # noqa: S104 - SageMaker calls from outside
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    max_body_bytes = int(os.environ.get("DROPSPOT_MAX_BODY_BYTES", str(DEFAULT_MAX_BODY_BYTES)))
    try:
        model = ServedModel(paths.model)
        model.detect_picture(Image.new("RGB", (64, 48)))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the model: nothing can be served
        LOG.error("the model in %s cannot be served (%s): %s", paths.model, DESCRIPTION, error)
        return 1
    LOG.info("serving %s at %d px on %s:%d", model.description.base_network, model.description.image_shape, host, port)
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn drains, then raises the signal again for whoever set this
    server = DetectionServer(model, available_cores(), max_body_bytes)
    uvicorn.run(
        server.app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
