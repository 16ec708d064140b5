"""`python -m detector.train`: the container's `train` command."""

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from detector.channels.input_configuration import channel_formats
from detector.channels.named_pipe import StoppedError
from detector.hosts.cluster import Cluster
from detector.hosts.session import joined
from detector.paths import ContainerPaths
from detector.settings import Settings
from detector.threads import set_openmp_threads
from dropspot.errors import DropspotError, InvalidInputError

LOG = logging.getLogger(__name__)

_FAILURE_CHARACTERS = 1024  # what SageMaker keeps of the failure file


def main() -> int:
    """Train as the configuration below the root says; exit code 1 and a sentence in `output/failure` where it can't.

    SIGTERM ends the training before its next step: the best weights so far are written and the exit code is 0, as a
    job that is stopped keeps its model. While the channels are being loaded there are none yet, and none are written.
    """
    log_format = "[%(asctime)s %(levelname)s %(process)d] %(message)s"
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    paths = ContainerPaths.from_env()
    cluster = Cluster()
    try:
        given = read_hyperparameters(paths.hyperparameters)
        settings = Settings.from_strings(given)
        for sentence in settings.without_effect(given):
            LOG.warning("%s", sentence)
        cluster = Cluster.from_file(paths.resource_config)
        formats = channel_formats(paths.input_data_config)
        set_openmp_threads()
        with joined(cluster, stop.is_set, lambda sentence: _end(_fail(paths.failure, sentence))) as peers:
            # Only now: a refused hyperparameter is answered at once, and MXNet reads its environment when imported.
            from detector.job import run_job  # noqa: PLC0415

            run_job(paths, settings, given, formats, stop.is_set, peers)
        code = 0
    except StoppedError:
        LOG.info("told to stop while loading the data: there is no model")
        code = 0
    except (DropspotError, OSError) as error:
        code = _fail(paths.failure, str(error))
    except Exception as error:
        LOG.exception("training failed")
        code = _fail(paths.failure, unexpected(error))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the interpreter, as it ends, would put back that they kill it
    if len(cluster.hosts) > 1:
        _end(code)  # MXNet, at the interpreter's end, waits for hosts that may be gone
    return code


def read_hyperparameters(path: Path) -> dict[str, str]:
    """Return the hyperparameters as sent, every value a string; raise InvalidInputError where they can't be read."""
    values = _read_json(path)
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path.name} is not an object of hyperparameters")
    return {str(name): str(value) for name, value in values.items()}


def unexpected(error: Exception) -> str:
    """Return the sentence about an error that nothing foresaw."""
    return f"training failed unexpectedly: {type(error).__name__}: {_reason(error)}"


def _reason(error: Exception) -> str:
    """Return the line that says why: the first, but the last of MXNet's texts, which begin with a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return lines[-1 if lines[0].startswith("Traceback") else 0]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InvalidInputError(f"{path} is missing") from error
    except ValueError as error:
        raise InvalidInputError(f"{path.name} is not JSON: {error}") from error


def _fail(path: Path, sentence: str) -> int:
    LOG.error("%s", sentence)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sentence[:_FAILURE_CHARACTERS], encoding="utf-8", errors="backslashreplace")
    return 1


def _end(code: int) -> NoReturn:
    """End the process at once, whatever its threads are waiting for."""
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    raise SystemExit(main())
