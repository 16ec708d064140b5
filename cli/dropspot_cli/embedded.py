"""`dropspot up` and `down`: the embedded cloud of this checkout with the stack deployed to it."""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from rich.console import Console

from dropspot_cli import env_file, sam
from dropspot_cli.console import duration
from dropspot_cli.project import Project
from dropspot_cli.stack import Stack, enter, exports, find_stack, shown
from dropspot_local import cloud
from dropspot_local.cloud import CloudError

# On AWS the SDKs would ask the instance's metadata service for a region or credentials; here nobody would answer.
_QUIET = {"AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def step(console: Console, doing: str, done: str) -> Iterator[None]:
    """Show what is going on and, when it is over, that it is done and how long it took."""
    began = time.monotonic()
    with console.status(doing):
        yield
    console.print(f"[green]✓[/] {done} [dim]({duration(time.monotonic() - began)})[/]", soft_wrap=True)


@contextmanager
def _alone(project: Project, console: Console) -> Iterator[None]:
    """Keep a second `up` or `down` of this checkout waiting; the lock is on a file that every checkout has."""
    with (project.root / "template.yaml").open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with console.status("waiting for another `dropspot up` or `down` of this checkout"):
                fcntl.flock(held, fcntl.LOCK_EX)
        yield


def up(
    project: Project,
    stack_name: str,
    parameters: Mapping[str, str],
    console: Console,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> Stack:
    """Start the embedded cloud where it isn't running, deploy the stack to it, and write `.dropspot/env`.

    `meanwhile` is run while the stack is being built. Another `up` or `down` of the checkout is waited for.
    """
    with _alone(project, console):
        return _up(project, stack_name, parameters, console, meanwhile)


def _up(
    project: Project,
    stack_name: str,
    parameters: Mapping[str, str],
    console: Console,
    meanwhile: Callable[[], None],
) -> Stack:
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as pool:
        with step(console, "starting the embedded cloud", "the embedded cloud is up"):
            running = cloud.start(project.root, state=project.state)
        # the start clears the state folder, so the build's log can only come after it
        building: Future[None] = pool.submit(
            sam.build_locally,
            project,
            project.state / "sam-build.log",
        )
        access = {**running.environment, **_QUIET}
        enter(access)
        with step(console, "building the stack: sam build", "the stack is built"):
            meanwhile()
            building.result()
    if cloud.status(project.root, state=project.state) != running:
        # another program that answers at the same address must not get our stack
        raise CloudError(f"The embedded cloud ended soon after its start: see {shown(project.state / 'cloud.log')}.")
    with step(console, "deploying the stack: sam deploy", f"the stack {stack_name} is deployed"):
        sam.deploy_locally(project, project.state / "sam-deploy.log", stack_name, parameters)
    stack = find_stack(stack_name, embedded=True)
    env_file.write(project.env_file, exports(stack, access))
    console.print(
        f"[green]✓[/] ready after {duration(time.monotonic() - began)}: {running.endpoint_url}, bucket {stack.bucket};"
        f" `source {shown(project.env_file)}` for the AWS CLI",
        soft_wrap=True,
    )
    return stack


def down(project: Project, console: Console) -> None:
    """Stop the embedded cloud and remove its state; the pictures with boxes stay."""
    with _alone(project, console), console.status("stopping the embedded cloud"):
        was_up = cloud.stop(project.root, state=project.state)
    console.print("[green]✓[/] the embedded cloud is down" if was_up else "The embedded cloud was not up.")
