"""`dropspot`: the command line. Every verb is a few lines that call the module of its subject."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dropspot.ports import APPROVED, REJECTED
from dropspot_cli import alone, env_file, sam, upkeep
from dropspot_cli.approving import decide
from dropspot_cli.aws_deployment import deploy as deploy_to_aws
from dropspot_cli.console import console, counted, errors
from dropspot_cli.demo import demo as run_demo
from dropspot_cli.detecting import detect as detect_images
from dropspot_cli.embedded import down as cloud_down
from dropspot_cli.embedded import up as cloud_up
from dropspot_cli.progress import Snapshot
from dropspot_cli.project import Project
from dropspot_cli.pushing import push_dataset, push_images
from dropspot_cli.retraining import request_retraining
from dropspot_cli.rolling_back import request_rollback
from dropspot_cli.runs import await_run, identity, newest_run, notes, print_runs, run_ids, run_named, summaries
from dropspot_cli.sentences import EXPECTED, sentence
from dropspot_cli.stack import Stack, Target, exports
from dropspot_cli.teardown import Teardown, bucket_content, delete_bucket
from dropspot_cli.uploads import dataset_name
from dropspot_cli.watching import Watcher
from dropspot_local import cloud

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_ACCESS = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE")


@app.callback()
def target(
    context: typer.Context,
    stack: Annotated[str, typer.Option(help="The stack's name.", envvar="DROPSPOT_STACK")] = "dropspot",
    aws: Annotated[bool, typer.Option("--aws", help="Talk to AWS even while the embedded cloud is up.")] = False,
) -> None:
    """Drop a data set, get a detector; drop an image, get its detections.

    The verbs work the same on the embedded cloud (while it is up) and on a stack in AWS.
    """
    context.obj = Target(Project.here(), stack, aws)


@app.command()
def up(
    context: typer.Context,
    parameter: Annotated[list[str] | None, typer.Option(help="A parameter of the template, as Name=value.")] = None,
) -> None:
    """Start the embedded cloud and deploy the stack to it."""
    project: Project = context.obj.project
    try:
        cloud_up(project, context.obj.stack_name, sam.parse_parameters(parameter or []), console)
    except KeyboardInterrupt:
        if cloud.status(project.root, state=project.state) is None:
            raise
        errors.print("\nInterrupted. The embedded cloud is still up: `make down` stops it.")
        raise typer.Exit(130) from None


@app.command()
def down(context: typer.Context) -> None:
    """Stop the embedded cloud and remove its state."""
    cloud_down(context.obj.project, console)


@app.command()
def push(
    context: typer.Context,
    sources: Annotated[list[Path], typer.Argument(help="A folder, or archives.")],
    name: Annotated[str, typer.Option(help="The data set's name; the folder's by default.")] = "",
    images: Annotated[bool, typer.Option("--images", help="These are images to look at, no data set.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what the bucket holds beyond the sources.")] = False,
) -> None:
    """Upload a data set, which starts a run; what is there already isn't sent again."""
    stack: Stack = context.obj.connect()
    if images:
        push_images(stack, sources, name, console)
        return
    _check_exist(sources)
    push_dataset(stack, sources, name or dataset_name(sources), console, prune=prune)


def _check_exist(sources: list[Path]) -> None:
    for source in sources:
        source.stat()


@app.command()
def watch(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The run's id; the newest by default.")] = "",
) -> None:
    """Follow a run to its end: its stages, the epochs of its training, the verdict."""
    stack: Stack = context.obj.connect()
    _follow(stack, run or newest_run(stack.store))


def _follow(stack: Stack, run_id: str) -> Snapshot:
    return Watcher(stack.store, run_named(stack.app, run_id, stack.store), console).follow()


@app.command()
def runs(context: typer.Context) -> None:
    """List the runs, the newest first."""
    stack: Stack = context.obj.connect()
    found = summaries(stack.store)
    if not found:
        console.print("No run yet: upload a data set with `dropspot push FOLDER`.")
        return
    print_runs(found, console)
    for note in notes(found):
        console.print(escape(note), soft_wrap=True)


@app.command()
def detect(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    out: Annotated[Path | None, typer.Option(help="Where the pictures with boxes go.", file_okay=False)] = None,
    below: Annotated[str, typer.Option(help="Sub-path of images/ to drop them under.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the documents.", min=1)] = 120,
) -> None:
    """Drop images and print what the detector finds in them."""
    stack: Stack = context.obj.connect()
    detect_images(stack, files, out or context.obj.project.results, console, below=below, timeout=timeout)


@app.command()
def env(context: typer.Context) -> None:
    """Print exports for a shell: eval "$(dropspot env)"."""
    stack: Stack = context.obj.connect()
    path = context.obj.project.env_file
    access = {name: os.environ[name] for name in _ACCESS if name in os.environ}
    variables = env_file.read(path) if stack.embedded else exports(stack, access)
    typer.echo(env_file.render(variables), nl=False)


@app.command()
def retrain(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The data set; the one in service by default.")] = "",
    follow: Annotated[bool, typer.Option("--watch", help="Follow the new run to its end.")] = False,
) -> None:
    """Train again with the data set as it is now."""
    stack: Stack = context.obj.connect()
    known = run_ids(stack.store)
    event = request_retraining(stack, dataset)
    console.print(
        f"[green]✓[/] asked for a retraining of {escape(dataset or 'the data set in service')} (event {event})"
    )
    if follow:
        dataset = dataset or identity(stack.store, newest_run(stack.store)).get("dataset", "")
        _follow(stack, await_run(stack.store, dataset, known, patience=120))


@app.command()
def rollback(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The run's id; the one in service before by default.")] = "",
) -> None:
    """Put the model of an earlier run back into service."""
    stack: Stack = context.obj.connect()
    restored, event = request_rollback(stack, run)
    console.print(f"[green]✓[/] asked for the model of run {escape(restored)} to be in service again (event {event})")


@app.command()
def approve(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The run's id; the one that waits by default.")] = "",
    note: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Put a model into service that has passed the gate and waits for approval."""
    approved = decide(context.obj.connect(), run, APPROVED, note)
    console.print(f"[green]✓[/] approved the model of {approved}: `dropspot watch {approved}` shows what becomes of it")


@app.command()
def reject(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The run's id; the one that waits by default.")] = "",
    note: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Keep a model out of service that has passed the gate and waits for approval."""
    console.print(f"[green]✓[/] rejected the model of {decide(context.obj.connect(), run, REJECTED, note)}")


@app.command()
def teardown(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete the bucket too, with all it holds.")
    ] = False,
) -> None:
    """Delete the endpoint, its configs and models, and the stack; the bucket stays unless --delete-data is given."""
    stack: Stack = context.obj.connect()
    too = f" and the bucket {stack.bucket} WITH ALL IT HOLDS" if delete_data else ""
    if not yes:
        typer.confirm(f"Delete the endpoint, models and stack {stack.name}{too}?", abort=True)
    with console.status("tearing down"):
        Teardown(stack, lambda text: console.print(f"[green]✓[/] {escape(text)}", soft_wrap=True)).run()
        if delete_data:
            delete_bucket(stack.bucket)
            console.print(f"[green]✓[/] deleted the bucket {stack.bucket}")
    _tell_what_is_left(stack, delete_data)


def _tell_what_is_left(stack: Stack, deleted: bool) -> None:
    content = None if deleted else bucket_content(stack.bucket)
    console.print("Left:")
    if content is not None:
        number, size = content
        console.print(
            f"  the bucket s3://{stack.bucket}: {counted(number, 'version')} of objects, {size / 1e6:.1f} MB",
            soft_wrap=True,
        )
        console.print("    (to remove it: Empty, then Delete in the S3 console; --delete-data would have done both)")
    console.print(
        "  the log groups /aws/sagemaker/*, and sam's own bucket of deployments (stack aws-sam-cli-managed-default)",
        soft_wrap=True,
    )
    if not stack.embedded:
        console.print("  the image repositories dropspot-prep and dropspot-detector in ECR, where you pushed any")


@app.command()
def deploy(
    context: typer.Context,
    detector: Annotated[
        bool, typer.Option("--detector", help="Train and serve with detector_container, not the built-in algorithm.")
    ] = False,
    tag: Annotated[str, typer.Option(help="Tag of the container images.")] = "latest",
) -> None:
    """Deploy to an AWS account: container images first, then the stack, step by step."""
    if context.obj.enter():
        raise typer.BadParameter("the embedded cloud is up: add --aws (dropspot --aws deploy), or use `dropspot up`")
    deploy_to_aws(context.obj.project, context.obj.stack_name, console, with_detector=detector, tag=tag)


@app.command()
def demo(
    context: typer.Context,
    dataset: Annotated[str, typer.Option(help="A folder or archive of your own, or oxford-pets.")] = "",
) -> None:
    """Go the whole road on this machine: train, deploy and use a detector."""
    try:
        run_demo(context.obj.project, dataset, context.obj.stack_name, console)
    except KeyboardInterrupt:
        errors.print("\nInterrupted. The same command goes on from here; `make down` stops the embedded cloud.")
        raise typer.Exit(130) from None


upkeep.register(app)
alone.register(app)


def main() -> None:
    """Run the command; a failure that can be expected is one sentence on stderr and exit code 1."""
    try:
        app()
    except EXPECTED as error:
        told = sentence(error)
        if told is None:
            raise
        errors.print(f"[red]dropspot:[/] {escape(told)}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
