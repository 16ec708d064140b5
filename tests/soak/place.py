"""The stack on an embedded cloud of its own, with an endpoint of one's choosing behind it and no training before."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from dropspot import aws, documents
from dropspot.answering import variant_of
from dropspot.endpoint import CHAMPION, Deployment
from dropspot.runs import Run
from dropspot_cli import embedded
from dropspot_cli.project import Project
from dropspot_local import cloud, images, processes
from soak.instant import CLASSES

ROOT = Path(__file__).parents[2]
INSTANT = f"{images.REGISTRY}/instant:local"
RUN = Run("dropspot", "soak-0123456789")


def wait_for(what: str, look: Callable[[], Any], seconds: float = 120, pause: float = 0.2) -> Any:
    """Look until there is something to see; TimeoutError names what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(pause)
    raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")


@dataclass(frozen=True)
class Place:
    """A deployed stack; this process's AWS clients talk to its cloud."""

    state: Path
    bucket: str
    outputs: dict[str, str]

    @property
    def store(self) -> aws.S3Store:
        return aws.S3Store(self.bucket)

    @property
    def endpoint(self) -> str:
        return self.outputs["EndpointName"]

    @cached_property
    def resources(self) -> dict[str, str]:
        """The stack's physical ids by logical id."""
        answer = aws.client("cloudformation").describe_stack_resources(StackName="dropspot")
        return {entry["LogicalResourceId"]: entry["PhysicalResourceId"] for entry in answer["StackResources"]}

    @cached_property
    def mapping(self) -> str:
        """The id of the image queue's event source mapping."""
        return self.resources["DetectObjectsFunctionImage"]

    def function(self, logical_id: str = "DetectObjectsFunction") -> dict[str, Any]:
        """Return a function's configuration."""
        found: dict[str, Any] = aws.client("lambda").get_function_configuration(FunctionName=self.resources[logical_id])
        return found

    def tell(self, **variables: str) -> None:
        """Change what detect_objects is told; its workers begin anew."""
        told = self.function()["Environment"]["Variables"]
        aws.client("lambda").update_function_configuration(
            FunctionName=self.resources["DetectObjectsFunction"], Environment={"Variables": told | variables}
        )

    def configure(self, image: str, model: Path | None = None, *, suffix: str = "") -> str:
        """Make an endpoint config of the image's container, with a model folder for it; return its name."""
        documents.write(self.store, RUN.key("prepared", "classes.json"), {"classes": CLASSES})
        container: dict[str, Any] = {"Image": image, "Environment": {"DROPSPOT_RUN_ID": RUN.run_id}}
        if model is not None:
            key = RUN.key("model", "model.tar.gz")
            aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=_archive(model))
            container["ModelDataUrl"] = f"s3://{self.bucket}/{key}"
        role = self.function("StartEvaluationFunction")["Environment"]["Variables"]["SAGEMAKER_ROLE_ARN"]
        hosting, name, config = aws.SageMakerHosting(), RUN.model + suffix, RUN.endpoint_config + suffix
        hosting.create_model({"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": role})
        variant = {
            "VariantName": variant_of(CLASSES),
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        hosting.create_endpoint_config({"EndpointConfigName": config, "ProductionVariants": [variant]})
        return config

    def serve(self, image: str, model: Path | None = None) -> None:
        """Put the image's container into service as the champion; returns when the image queue is open."""
        config = self.configure(image, model)
        deployment = Deployment(RUN, "soak", "2026-01-01T00:00:00Z")
        documents.write(self.store, CHAMPION, deployment.document)
        aws.SageMakerHosting().create_endpoint({"EndpointName": self.endpoint, "EndpointConfigName": config})
        self.wait_until_served()

    def update(self, config: str) -> None:
        """Ask the endpoint to serve another config; InvalidInputError while it changes."""
        aws.SageMakerHosting().update_endpoint({"EndpointName": self.endpoint, "EndpointConfigName": config})

    def withdraw(self) -> None:
        """Delete the endpoint and all that it was made of, so that something else can be served."""
        hosting = aws.SageMakerHosting()
        aws.client("s3").delete_object(Bucket=self.bucket, Key=CHAMPION)  # or reconcile_endpoint would bring it back
        hosting.delete_endpoint(self.endpoint)
        wait_for("the endpoint's end", lambda: hosting.endpoint(self.endpoint) is None)
        hosting.delete_endpoint_config(RUN.endpoint_config)
        hosting.delete_model(RUN.model)

    def wait_until_served(self) -> None:
        """Wait for the endpoint, and for reconcile_endpoint to see it and open the queue."""

        def is_served() -> bool:
            endpoint = aws.SageMakerHosting().endpoint(self.endpoint)
            return endpoint is not None and endpoint.status == "InService"

        wait_for("the endpoint", is_served)
        wait_for("an open image queue", lambda: aws.LambdaIntake().is_open(self.mapping))

    def waiting(self, output: str = "ImageQueueUrl") -> int:
        """Return how many messages a queue holds, those in flight and those that wait for their time included."""
        kinds = ("", "NotVisible", "Delayed")
        names = [f"ApproximateNumberOfMessages{kind}" for kind in kinds]
        answer = aws.client("sqs").get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def pids(self, word: str) -> list[int]:
        """Return the cloud's processes whose command line has the word."""
        found = []
        for pid in processes.marked(self.state):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if word.encode() in command:
                found.append(pid)
        return found

    @property
    def workers(self) -> list[int]:
        """The processes that run detect_objects."""
        return self.pids(f"ministack-lambda-{self.resources['DetectObjectsFunction']}")


@contextmanager
def deployed(**parameters: str) -> Iterator[Place]:
    """Start a cloud with the stack in a folder of its own; everything goes when it is left."""
    state = Path(tempfile.mkdtemp(prefix="dropspot-soak-"))  # not below pytest's folders: sockets need a short path
    before, ending = (
        dict(os.environ),
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)),
    )  # to leave nothing behind
    os.environ["DROPSPOT_STATE"] = str(state)
    project, console = Project(ROOT), Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            cloud.start(ROOT, state=state, images=_table(Path(folder)))
        stack = embedded.up(project, "dropspot", parameters, console)
        yield Place(state, stack.bucket, dict(stack.outputs))
    finally:
        embedded.down(project, console)
        shutil.rmtree(state, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)
        aws.client.cache_clear()
        signal.signal(signal.SIGTERM, ending)


def _table(folder: Path) -> Path:
    """Write the images that the cloud knows: the checkout's detector, and the instant one."""
    detector = images.checkout_images(ROOT).find(images.DETECTOR_IMAGE)
    table = {
        images.DETECTOR_IMAGE: {"commands": dict(detector.commands), "environment": dict(detector.environment)},
        INSTANT: {"commands": {"serve": [sys.executable, str(ROOT / "tests" / "soak" / "instant.py")]}},
    }
    path = folder / "images.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def _archive(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return buffer.getvalue()
