"""`dropspot deploy`: the guided way to an AWS account, images first, then the stack."""

import base64
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console

from dropspot import aws
from dropspot.errors import DropspotError, NotFoundError
from dropspot_cli import sam
from dropspot_cli.embedded import step
from dropspot_cli.project import Project

PREP = "prep"
DETECTOR = "detector"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account it is, and where."""

    number: str
    region: str
    who: str

    @property
    def registry(self) -> str:
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"{self.number}.dkr.ecr.{self.region}.{suffix}"


def deploy(project: Project, stack_name: str, console: Console, *, with_detector: bool, tag: str) -> None:
    """Build and push the container images, build the stack for Lambda, and hand over to `sam deploy --guided`."""
    account = signed_in()
    console.print(f"Deploying to account {account.number} in {account.region} as {account.who}", soft_wrap=True)
    docker = container_tool()
    parts = [PREP, *([DETECTOR] if with_detector else [])]
    log_in(docker, account)
    uris = {part: push_image(project, docker, account, part, tag, console) for part in parts}
    with step(console, "building the stack: sam build", "the stack is built for Lambda"):
        sam.build(project, project.root / ".aws-sam" / "aws" / "build.log")
    sam.deploy_guided(project, stack_name, parameters(uris))


def parameters(uris: dict[str, str]) -> dict[str, str]:
    """Return the stack's parameters that the pushed images decide."""
    chosen = {"PrepImage": uris[PREP]}
    return chosen | ({"TrainingAlgorithm": uris[DETECTOR]} if DETECTOR in uris else {})


def signed_in() -> Account:
    """Return the account that the credentials belong to."""
    client = aws.client("sts")
    who = client.get_caller_identity()
    return Account(who["Account"], client.meta.region_name, who["Arn"])


def container_tool() -> str:
    """Return docker's path; raise NotFoundError where there is no docker that runs."""
    docker = shutil.which("docker")
    if docker is None:
        raise NotFoundError(
            "Docker is missing: the two container images are built with it. Install it and run the command again."
        )
    if subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        raise NotFoundError(
            "Docker is installed but doesn't run, or not for this user: start it (`docker info` says more)."
        )
    return docker


def log_in(docker: str, account: Account) -> None:
    """Give docker the registry's password, valid for twelve hours."""
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    _call([docker, "login", "--username", user, "--password-stdin", account.registry], secret=password)


def push_image(project: Project, docker: str, account: Account, part: str, tag: str, console: Console) -> str:
    """Build one part's image from the checkout's root, push it, and return its URI by digest."""
    repository = f"dropspot-{part}"
    ensure_repository(repository)
    uri = f"{account.registry}/{repository}:{tag}"
    dockerfile = project.root / f"{part}_container" / "Dockerfile"
    with step(console, f"building {repository}", f"the image {repository}:{tag} is built"):
        # SageMaker takes no manifest lists, which attestations would make of it
        _call(
            [
                docker,
                "build",
                "--platform",
                "linux/amd64",
                "--provenance=false",
                "--file",
                str(dockerfile),
                "--tag",
                uri,
                str(project.root),
            ]
        )
    with step(console, f"pushing {repository}", f"the image {repository}:{tag} is pushed"):
        _call([docker, "push", "--quiet", uri])
    found = aws.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    return f"{account.registry}/{repository}@{found['imageDetails'][0]['imageDigest']}"


def ensure_repository(name: str) -> None:
    """Create the image repository where it doesn't exist."""
    request: dict[str, Any] = {"repositoryName": name, "imageScanningConfiguration": {"scanOnPush": True}}
    try:
        aws.client("ecr").create_repository(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryAlreadyExistsException":
            raise


def _call(command: Sequence[str], *, secret: str | None = None) -> None:
    done = subprocess.run(command, input=secret, text=True, check=False)
    if done.returncode:
        raise DropspotError(f"`{' '.join(command[:2])} …` failed with exit code {done.returncode}.")
