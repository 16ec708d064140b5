"""The verbs that need no cloud: prepare a data set, train on it, evaluate the model and serve it, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from dropspot_cli import evaluating, preparing, serving_alone, training_alone
from dropspot_cli.console import console, errors
from dropspot_cli.project import Project

_MODEL = typer.Argument(help="What `dropspot train` wrote, a model's folder, or a model.tar.gz.")
_PREPARED = typer.Argument(help="What `dropspot prepare` wrote.")
_INTERRUPTED = 130  # as a shell reports a command that Ctrl-C ended


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (prepare, train, evaluate, serve):
        app.command(rich_help_panel="Commands that need no cloud")(verb)


def prepare(
    context: typer.Context,
    sources: Annotated[list[Path], typer.Argument(help="A folder, or archives.")],
    out: Annotated[Path, typer.Argument(help="Where prepared/ and report/ are written: a new or an empty folder.")],
    plan: Annotated[
        Path | None, typer.Option(help="A training plan; by default the data set's own training.json, if any.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Decoding processes; one per core by default.", min=0)] = None,
    prepared_uri: Annotated[
        str, typer.Option(help="Where OUT/prepared will lie in S3; augmented manifests name their pictures by it.")
    ] = "",
) -> None:
    """Prepare a data set on this machine, with the preparation container's own code; no cloud is needed."""
    project: Project = context.obj.project
    raise typer.Exit(
        preparing.prepare(project, sources, out, errors, plan=plan, workers=workers, prepared_uri=prepared_uri)
    )


def train(
    context: typer.Context,
    prepared: Annotated[Path, _PREPARED],
    out: Annotated[Path, typer.Argument(help="Where model/ and the curve are written: a new or an empty folder.")],
    plan: Annotated[Path | None, typer.Option(help="A training plan; without one the recipe decides.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A hyperparameter, as name=value; may be given again.")
    ] = None,
) -> None:
    """Train on this machine, with the detector container's own code; Ctrl-C stops and keeps the best model so far."""
    project: Project = context.obj.project
    raise typer.Exit(training_alone.train(project, prepared, out, console, errors, plan=plan, changes=changes or ()))


def evaluate(
    context: typer.Context,
    model: Annotated[Path, _MODEL],
    prepared: Annotated[Path, _PREPARED],
    out: Annotated[
        Path | None, typer.Option(help="Where the scores go; evaluation.json beside the model else.")
    ] = None,
) -> None:
    """Score a model on the held-out pictures, through the server and with the scorer of the pipeline."""
    try:
        with serving_alone.interruptible():
            evaluating.evaluate(context.obj.project, model, prepared, out, console)
    except KeyboardInterrupt:
        errors.print("\nInterrupted: nothing was written.")
        raise typer.Exit(_INTERRUPTED) from None


def serve(
    context: typer.Context,
    model: Annotated[Path, _MODEL],
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 8080,
) -> None:
    """Answer requests with a model on this machine until Ctrl-C."""
    raise typer.Exit(serving_alone.serve(context.obj.project, model, port, console, errors))
