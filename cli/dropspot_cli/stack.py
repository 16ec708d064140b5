"""The deployed stack: which cloud to talk to, and where the stack's parts are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, EndpointConnectionError, NoRegionError

from dropspot import aws
from dropspot.aws import S3Store
from dropspot.errors import DropspotError, NotFoundError
from dropspot_cli import env_file
from dropspot_cli.project import Project
from dropspot_local import cloud


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack, known by its outputs; `embedded` where it lives in the embedded cloud."""

    name: str
    outputs: Mapping[str, str]
    embedded: bool = False

    @property
    def app(self) -> str:
        return self.outputs["AppName"]

    @property
    def bucket(self) -> str:
        return self.outputs["BucketName"]

    @property
    def endpoint(self) -> str:
        return self.outputs["EndpointName"]

    @property
    def api_url(self) -> str:
        """The REST API's root; the embedded cloud serves it under its own address."""
        if not self.embedded:
            return self.outputs["ApiUrl"]
        url = urlsplit(self.outputs["ApiUrl"])
        api, stage = url.netloc.partition(".")[0], url.path.strip("/")
        return f"{os.environ['AWS_ENDPOINT_URL']}/restapis/{api}/{stage}/_user_request_"

    @property
    def store(self) -> S3Store:
        return S3Store(self.bucket)


@dataclass(frozen=True, slots=True)
class Target:
    """What the command line says about whom to talk to; `aws` leaves a running embedded cloud aside."""

    project: Project
    stack_name: str = "dropspot"
    aws: bool = False

    def connect(self) -> Stack:
        """Return the stack; raise DropspotError in one sentence where there is none or the cloud doesn't answer."""
        embedded = self.enter()
        try:
            return find_stack(self.stack_name, embedded=embedded)
        except EndpointConnectionError as error:
            if not embedded:
                raise
            url = os.environ["AWS_ENDPOINT_URL"]
            raise DropspotError(f"The embedded cloud does not answer at {url}: start it with `dropspot up`.") from error

    def enter(self) -> bool:
        """Make the embedded cloud this process's AWS where one is up and `--aws` isn't given; return whether it is."""
        exports = {} if self.aws else env_file.read(self.project.env_file)
        if not exports:
            return False
        # the address alone proves nothing: another checkout's cloud may have it by now
        running = cloud.status(self.project.root, state=self.project.state)
        if running is None or running.endpoint_url != exports.get("AWS_ENDPOINT_URL"):
            raise DropspotError(
                "The embedded cloud of this checkout is not running any more: start it with `dropspot up`,"
                " or give --aws to talk to AWS."
            )
        enter(exports)
        return True


def enter(exports: Mapping[str, str]) -> None:
    """Make these exports this process's own, and its children's."""
    merged = env_file.apply(exports, dict(os.environ))
    # the user's own profiles and endpoints have no say in the embedded cloud
    merged |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.clear()
    os.environ.update(merged)
    aws.client.cache_clear()


def find_stack(name: str, *, embedded: bool = False) -> Stack:
    """Return the stack by its outputs; raise NotFoundError where it isn't there or still on its way."""
    try:
        answer = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except NoRegionError as error:
        raise NotFoundError(
            "No cloud is chosen: start the embedded one with `dropspot up`, or set AWS_REGION and AWS credentials."
        ) from error
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":  # all that CloudFormation says of an unknown stack
            raise
        start = "dropspot up" if embedded else "make deploy"
        raise NotFoundError(f"There is no stack named {name} here: deploy it with `{start}`.") from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in answer.get("Outputs", [])}
    lacking = {"AppName", "BucketName", "EndpointName", "ApiUrl"} - outputs.keys()
    if lacking:
        raise NotFoundError(
            f"The stack {name} is {answer['StackStatus']} and has no output {', '.join(sorted(lacking))}."
        )
    return Stack(name, outputs, embedded)


def exports(stack: Stack, cloud: Mapping[str, str]) -> dict[str, str]:
    """Return what `.dropspot/env` holds: how to reach the cloud, and the names of the stack's parts."""
    return {
        **cloud,
        "DROPSPOT_STACK": stack.name,
        "DROPSPOT_APP": stack.app,
        "DROPSPOT_BUCKET": stack.bucket,
        "DROPSPOT_ENDPOINT": stack.endpoint,
        "DROPSPOT_API_URL": stack.api_url,
    }


def shown(path: Path) -> str:
    """Return a path as a reader of the terminal wants it: relative to where they are, where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
