"""A backfill over the services in memory: real handlers, the container's real tasks, a model that a test programs."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
from handlers import FakeContext, load_handler
from PIL import Image

from dropspot import endpoint
from dropspot.backfills import BACKFILL_DUE, HARVEST, LOOK, SNIFF, Backfill, Part
from dropspot.images import ImageRef
from dropspot.ports import JobKind
from dropspot.runs import Run
from dropspot.testing import MemoryServices, MemoryStore, memory_services
from prep.backfill import run_task

QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/images"
RUN = Run("dropspot", "pets-0123456789")
NEXT_RUN = Run("dropspot", "pets-9876543210")
ROWS = [[1.0, 0.75, 0.1, 0.2, 0.3, 0.6], [0.0, 0.1, 0.0, 0.0, 1.0, 1.0]]
SCHEMA = json.loads(files("dropspot").joinpath("schemas/detections-1.json").read_text(encoding="utf-8"))
SETTINGS: dict[str, Any] = {
    "app_name": "dropspot",
    "bucket_name": "bucket",
    "endpoint_name": "dropspot-endpoint",
    "image_queue_url": QUEUE,
    "score_threshold": "0.5",
    "prep_image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/prep:1",
    "prep_instance_type": "ml.m5.xlarge",
    "evaluation_instance_type": "ml.m5.xlarge",
    "sagemaker_role_arn": "arn:aws:iam::000000000000:role/sagemaker-role",
}


def picture(width: int = 64, height: int = 32, kind: str = "JPEG", colour: str = "red", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, kind, **options)
    return buffer.getvalue()


class Time(FakeContext):
    """An invocation with nearly all of its time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 890_000


def settings_of(function: str) -> Any:
    module = load_handler(function)
    return module.Settings(**{name: SETTINGS[name] for name in module.Settings.__dataclass_fields__})


@dataclass
class World:
    """One bucket with a champion, and a SageMaker whose jobs are done when a test says so."""

    folder: Path
    predict: Callable[[str, bytes], list[list[float]] | None] = lambda key, image: ROWS
    world: MemoryServices[Any] = field(default_factory=lambda: memory_services(settings_of("start_backfill")))

    def __post_init__(self) -> None:
        self.serve(RUN)
        self.world.clock.advance(3600)

    @property
    def store(self) -> MemoryStore:
        return self.world.store

    @property
    def now(self) -> str:
        return self.world.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def serve(self, run: Run) -> None:
        """Put the run's model into service."""
        self.store.put_json(run.key("prepared", "classes.json"), {"classes": ["cat", "dog"]})
        self.store.put_json(endpoint.CHAMPION, {"run_id": run.run_id, "in_service_since": self.now})

    def call(self, function: str, event: dict[str, Any], context: Any = None) -> None:
        services = replace(self.world, settings=settings_of(function))
        load_handler(function).handler(event, context or Time(), services)

    def request(self, prefix: str = "", cause: str = "event-1", **options: Any) -> Backfill:
        """Ask for a backfill, and let it begin."""
        detail = {"prefix": prefix, **options}
        self.call("start_backfill", {"command": "start_backfill", "request": detail, "cause": cause, "time": self.now})
        names = [event["job"] for event in self.world.bus.of(BACKFILL_DUE)]
        backfill = Backfill.from_name("dropspot", names[-1])
        self.advance(backfill)
        return backfill

    def advance(self, backfill: Backfill, context: Any = None) -> None:
        self.call(
            "advance_backfill", {"command": "advance_backfill", "job": backfill.name, "cause": "event-2"}, context
        )

    def finish(self, part: Part) -> None:
        """Let the jobs of a part be done one after the other, each as far as it was started."""
        for work in (self.sniff, self.look, self.harvest):
            work(part)
            self.advance(part.backfill)

    def sniff(self, part: Part) -> None:
        self._process(part, SNIFF)

    def harvest(self, part: Part) -> None:
        self._process(part, HARVEST)

    def look(self, part: Part) -> None:
        """Do what a Transform job does: one output for each input, but for those that the model refuses."""
        request = self.world.jobs.requests.get(part.job(LOOK))
        if request is None:
            return
        refused = [
            key
            for key in self._manifest(request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
            if not self._answered(request, key)
        ]
        status, reason = ("Failed", "ClientError: See job logs") if refused else ("Completed", "")
        self.world.jobs.end(JobKind.TRANSFORM, part.job(LOOK), status, reason=reason)

    def _answered(self, request: dict[str, Any], key: str) -> bool:
        rows = self.predict(key, self.store.read(key).body) if self.store.head(key) else None
        if rows is None:
            return False
        raw = self._key(request["TransformOutput"]["S3OutputPath"])
        self.store.put_json(f"{raw}/{key}.out", {"prediction": rows})
        return True

    def _process(self, part: Part, step: str) -> None:
        """Run the container's code on the job's inputs, and bring its outputs to the bucket."""
        request = self.world.jobs.requests.get(part.job(step))
        if request is None:
            return
        root = self.folder / part.job(step)
        for entry in request["ProcessingInputs"]:
            source = entry["S3Input"]
            local = root / source["LocalPath"].removeprefix("/opt/ml/")
            if source["S3DataType"] == "ManifestFile":
                found = {key: key for key in self._manifest(source["S3Uri"])}
            else:
                prefix = self._key(source["S3Uri"])
                start = prefix if prefix.endswith("/") else prefix.rpartition("/")[0] + "/"
                found = {key: key.removeprefix(start) for key in self.store.keys(prefix)}
            assert found, f"no object below {source['S3Uri']}: the job would fail"
            for key, name in found.items():
                (local / name).parent.mkdir(parents=True, exist_ok=True)
                (local / name).write_bytes(self.store.read(key).body)
        run_task(request["Environment"]["DROPSPOT_TASK"], root, request["Environment"], print)
        for output in request["ProcessingOutputConfig"]["Outputs"]:
            local = root / output["S3Output"]["LocalPath"].removeprefix("/opt/ml/")
            for path in local.iterdir():
                self.store.put(f"{self._key(output['S3Output']['S3Uri'])}/{path.name}", path.read_bytes())
        self.world.jobs.end(JobKind.PROCESSING, part.job(step))

    def _manifest(self, uri: str) -> list[str]:
        [first, *names] = self.store.json(self._key(uri))
        return [self._key(first["prefix"]) + name for name in names]

    def _key(self, uri: str) -> str:
        assert uri.startswith("s3://bucket/")
        return uri.removeprefix("s3://bucket/")

    def queued(self) -> list[str]:
        """Return the keys that were handed to the image queue."""
        return [json.loads(message.body)["detail"]["object"]["key"] for message in self.world.queues.sent]

    def document(self, key: str) -> dict[str, Any]:
        """Return the image's document, checked against its schema."""
        document: dict[str, Any] = self.store.json(ImageRef.from_key("bucket", key).detections_key)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return document

    def moment(self) -> datetime:
        return self.world.clock.now()
