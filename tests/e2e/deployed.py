"""The deployed stack as a test sees it: through the command, the bucket, and AWS's own APIs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError

from dropspot.runs import RunStatus

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("dropspot")
EXTRA_BUCKET = "dropspot-e2e-photos"  # named to the stack by ExtraDataBuckets; a test creates it


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 120) -> T:
    """Look again and again until there is something to see; fail with what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def emulator_folders() -> set[Path]:
    """Return what the emulator has left in the folder for temporary files."""
    return set(Path(tempfile.gettempdir()).glob("ministack*"))


@dataclass
class Deployed:
    """One embedded cloud with the stack in it, in a state folder of its own."""

    state: Path
    exports: dict[str, str] = field(default_factory=dict)
    strays: set[Path] = field(default_factory=emulator_folders)  # what was there before

    def command(self, *arguments: str, check: bool = True, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Run the `dropspot` command against this cloud."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        result = subprocess.run(
            [str(COMMAND), *arguments],
            cwd=ROOT,
            env={**environment, "DROPSPOT_STATE": str(self.state), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or result.returncode == 0, f"dropspot {' '.join(arguments)}:\n{result.stdout}\n{result.stderr}"
        return result

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.exports["AWS_ENDPOINT_URL"],
            region_name=self.exports["AWS_REGION"],
            aws_access_key_id=self.exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.exports["AWS_SECRET_ACCESS_KEY"],
        )

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    @property
    def bucket(self) -> str:
        return self.exports["DROPSPOT_BUCKET"]

    @cached_property
    def outputs(self) -> dict[str, str]:
        [stack] = self.client("cloudformation").describe_stacks(StackName="dropspot")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def json(self, key: str) -> Any | None:
        try:
            return json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    def versions(self, key: str) -> int:
        """Return how often the object under the key was written."""
        answer = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key)
        return sum(version["Key"] == key for version in answer.get("Versions", []))

    def upload(self, folder: Path, dataset: str) -> None:
        """Upload a folder as a data set, file by file, as `aws s3 sync` does."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.s3.upload_file(str(path), self.bucket, f"datasets/{dataset}/{path.relative_to(folder).as_posix()}")

    def runs(self, dataset: str) -> list[str]:
        """Return the ids of the data set's runs, oldest first."""
        found = [self.json(key) for key in self.keys("runs/") if key.endswith("/run.json")]
        mine = [identity for identity in found if identity and identity["dataset"] == dataset]
        return [identity["run_id"] for identity in sorted(mine, key=lambda identity: str(identity["created_at"]))]

    def run(self, dataset: str, number: int = 0, seconds: float = 60) -> str:
        """Wait for the data set's run of that number and return its id."""

        def begun() -> str | None:
            found = self.runs(dataset)
            return found[number] if len(found) > number else None

        return wait_for(f"run {number} of {dataset}", begun, seconds)

    def next_run(self, dataset: str, known: Collection[str], seconds: float = 60) -> str:
        """Wait for a run of the data set that isn't among the known ones and return its id."""

        def begun() -> str | None:
            return next((run_id for run_id in self.runs(dataset) if run_id not in known), None)

        return wait_for(f"another run of {dataset}", begun, seconds)

    def replace_data(self, folder: Path, dataset: str) -> None:
        """Make the folder's files all that the data set holds, its plan first: on a busy machine an upload may halt."""
        self.put(f"datasets/{dataset}/training.json", (folder / "training.json").read_bytes())
        for key in self.keys(f"datasets/{dataset}/"):
            if not key.endswith("/training.json"):
                self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.upload(folder, dataset)

    def state_of(self, run_id: str) -> str:
        prefix = f"runs/{run_id}/"
        names = {key.removeprefix(prefix) for key in self.keys(prefix)}
        return RunStatus.of({name for name in names if "/" not in name}).state

    def ended(self, run_id: str, seconds: float = 240) -> str:
        """Wait until the run has ended, and return how: failed, superseded, judged, deployed or awaiting_approval."""
        finals = {"failed", "superseded", "deployed", "awaiting_approval"}

        def final() -> str | None:
            state = self.state_of(run_id)
            if state in finals:
                return state
            verdict = self.json(f"runs/{run_id}/verdict.json")
            kept_out = verdict and (verdict["status"] != "passed" or "not deployed" in verdict["rule"])
            return "judged" if kept_out else None

        return wait_for(f"the end of {run_id}", final, seconds)

    def failure(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        assert self.ended(run_id, seconds) == "failed"
        document = self.json(f"runs/{run_id}/failure.json")
        assert document is not None
        return dict(document)

    def document(self, image: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for the document that describes the present object under the image's key."""
        etag = self.s3.head_object(Bucket=self.bucket, Key=image)["ETag"].strip('"')
        key = f"detections/{image.removeprefix('images/')}.json"

        def present() -> dict[str, Any] | None:
            document = self.json(key)
            return document if document and document["image"]["etag"] == etag else None

        return wait_for(key, present, seconds)
