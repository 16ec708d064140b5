"""The verbs that look after what has been dropped: backfill, audit, redrive."""

from typing import Annotated, Any

import typer

from dropspot.aws import SqsQueues
from dropspot.backfills import image_prefix
from dropspot_cli import auditing
from dropspot_cli.backfilling import backfill as backfill_images
from dropspot_cli.console import console, counted
from dropspot_cli.redriving import dead_letter_queues
from dropspot_cli.redriving import redrive as bring_back
from dropspot_cli.stack import Stack


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(backfill)
    app.command()(audit)
    app.command()(redrive)


def backfill(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="The beginning of their keys below images/; all by default.")] = "",
    instances: Annotated[int, typer.Option(help="Instances that run the model.", min=1, max=99)] = 1,
    older: Annotated[bool, typer.Option("--older", help="Also where an earlier model made the document.")] = False,
    redetect: Annotated[bool, typer.Option("--redetect", help="Also where the present model made it.")] = False,
    since: Annotated[
        str, typer.Option(help="With --redetect: go on with one that broke off, asked for at this moment (ISO 8601).")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
) -> None:
    """Look at existing images in bulk: those whose document is missing or older than the image."""
    if since and not redetect:
        raise typer.BadParameter("--since belongs to --redetect")
    detail: dict[str, Any] = {
        "prefix": prefix,
        "instances": instances,
        "older": older,
        "redetect": since or redetect,
    }
    backfill_images(context.obj.connect(), detail, console, wait=wait)


def audit(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="The beginning of images' keys below images/; all by default.")] = "",
    repair: Annotated[bool, typer.Option("--repair", help="Hand what is found to the image queue.")] = False,
) -> None:
    """Hold images against their documents: missing, outdated, of another model, without an image.

    Images dropped a moment ago count as missing. The exit code is 1 where something was found and left as it is.
    """
    stack: Stack = context.obj.connect()
    queue = stack.outputs["ImageQueueUrl"]
    with console.status("comparing"):
        findings = auditing.audit(stack.store, image_prefix(prefix))
        found = auditing.report(findings, console, (lambda sent: SqsQueues().send_all(queue, sent)) if repair else None)
    if not found:
        console.print("[green]✓[/] every image has its document")
    elif repair:
        console.print(f"[green]✓[/] handed {counted(found, 'image')} to the image queue")
    else:
        console.print("`dropspot audit --repair` hands them to the image queue; for thousands, `dropspot backfill`.")
        raise typer.Exit(1)


def redrive(
    context: typer.Context,
    only_list: Annotated[bool, typer.Option("--list", help="Only show what is stranded.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Show what failed for good, and why, and bring it back."""
    bring_back(
        dead_letter_queues(context.obj.connect()),
        console,
        lambda question: yes or typer.confirm(question),
        only_list=only_list,
    )
