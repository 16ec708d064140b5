"""`dropspot serve`: a trained model answers on this machine, from the server that answers in production."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from dropspot.errors import DropspotError
from dropspot_cli import model_folders
from dropspot_cli.detector_server import DetectorServer
from dropspot_cli.prepared_folders import read_document
from dropspot_cli.project import Project
from dropspot_cli.training_results import RESULT, SCHEMA


def serve(project: Project, model: Path, port: int, console: Console, errors: Console) -> int:
    """Serve the model on 127.0.0.1 until Ctrl-C; return the exit code.

    Raises InvalidInputError, with one sentence, for a model that can't be served and for a port that is taken.
    """
    ready = False

    def tell(line: str) -> None:
        if ready:  # what is logged from then on is about a request that failed, or a worker that was replaced
            errors.print(line, markup=False, soft_wrap=True)

    with suppress(KeyboardInterrupt), interruptible(), model_folders.serving_root(model) as root:
        model_folders.description(root, model)
        with DetectorServer(project, root, model, port, tell) as server:
            with console.status("loading the model"):
                server.wait_until_ready()
            ready = True
            for line in instructions(server.address, model):
                console.print(line, soft_wrap=True)
            code = server.wait()
            errors.print(f"[red]dropspot:[/] {escape(server.why_it_ended())}", soft_wrap=True)
            return code or 1
    console.print("\nstopped")
    return 0


def instructions(address: str, model: Path) -> list[str]:
    """What to tell who wants to call the server; the classes' names where `dropspot train` noted them."""
    lines = [
        f"[green]✓[/] {escape(str(model))} answers at {address} (Ctrl-C ends it)",
        "  curl -H 'Content-Type: image/jpeg' --data-binary @picture.jpg " + f"{address}/invocations",
        escape(r'  the answer: {"prediction": [[class id, score, xmin, ymin, xmax, ymax], …]}, boxes as fractions'),
    ]
    if not model.is_dir():  # an archive may lie anywhere: what is beside it need not be about it
        return lines
    with suppress(DropspotError, OSError):
        names = read_document(model_folders.beside(model) / RESULT, SCHEMA)["classes"]
        lines.append(escape("  classes: " + ", ".join(f"{class_id} {name}" for class_id, name in enumerate(names))))
    return lines


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and a closed terminal do what Ctrl-C does: raise KeyboardInterrupt, so that everything is ended."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
