"""The whole road over the services in memory: real handlers, and a SageMaker whose jobs a test lets end."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from handlers import FakeContext, load_handler

from dropspot.answering import attributes_of
from dropspot.documents import timestamp
from dropspot.plan import DETECTOR
from dropspot.ports import JobKind
from dropspot.runs import Run, RunStatus
from dropspot.testing import MemoryServices, MemoryStore, memory_services

PLAN_DEFAULTS = {
    "instance": {"type": "ml.g4dn.xlarge", "count": 1},
    "spot": False,
    "max_runtime_seconds": 3600,
    "epochs": 0,
    "gate": {"min_map50": 0.5},
}
GUARDRAILS = {
    "strategy": "all-at-once",
    "step": 50,
    "step_unit": "percent",
    "wait_seconds": 60,
    "termination_wait_seconds": 120,
    "timeout_seconds": 3600,
    "error_percent": 5.0,
    "latency_milliseconds": 10_000,
}
SETTINGS: dict[str, Any] = {
    "app_name": "dropspot",
    "bucket_name": "bucket",
    "endpoint_name": "dropspot-endpoint",
    "prep_image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/prep:1",
    "prep_instance_type": "ml.m5.xlarge",
    "sagemaker_role_arn": "arn:aws:iam::000000000000:role/sagemaker-role",
    "algorithm": DETECTOR,
    "plan_defaults": PLAN_DEFAULTS,
    "extra_data_buckets": ("extra",),
    "dataset_queue_url": "https://sqs/datasets",
    "settle_seconds": 60,
    "served_dataset": "",
    "cost_centre": "pets-42",
    "training_image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/detector:1",
    "evaluation_instance_type": "ml.m5.xlarge",
    "model_subnets": (),
    "model_security_groups": (),
    "endpoint_instance_type": "ml.m5.large",
    "endpoint_instance_count": 1,
    "endpoint_kms_key": "",
    "inference_topic": "",
    "async_idle_seconds": 600,
    "guardrails": GUARDRAILS,
    "image_mapping_id": "mapping",
    "keep_configs": 1,
}
UNIT_BOX = {"class_id": 0, "xmin": 0.1, "ymin": 0.1, "xmax": 0.5, "ymax": 0.5, "difficult": False}


def settings_of(function: str, **changes: Any) -> Any:
    """Return the function's own settings, filled from the table above."""
    module = load_handler(function)
    values = SETTINGS | changes
    return module.Settings(**{name: values[name] for name in module.Settings.__dataclass_fields__})


class Road:
    """One bucket, one SageMaker, one bus; `call` runs a function on them."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.world: MemoryServices[Any] = memory_services(settings_of("record_failure"))

    @property
    def store(self) -> MemoryStore:
        return self.world.store

    def call(self, function: str, event: dict[str, Any]) -> Any:
        services = replace(self.world, settings=settings_of(function, **self.changes))
        return load_handler(function).handler(event, FakeContext(), services)

    def command(self, name: str, run: Run, step: str) -> None:
        self.call(name, {"command": name, "job": run.name(step), "cause": "event-1"})

    def upload(self, dataset: str = "pets", **files: bytes) -> None:
        for name, body in (files or {"images.tar.gz": b"archive"}).items():
            self.store.put(f"datasets/{dataset}/{name}", body)

    def settle(self, key: str = "datasets/pets/images.tar.gz", when: datetime | None = None, **detail: Any) -> Any:
        return self.call("start_preprocessing", {"Records": [self.message(key, when, **detail)]})

    def message(self, key: str, when: datetime | None = None, message_id: str = "m-1") -> dict[str, Any]:
        moment = when or self.world.clock.now()
        body = {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "time": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "detail": {"bucket": {"name": "bucket"}, "object": {"key": key}},
        }
        return {"messageId": message_id, "body": json.dumps(body)}

    @property
    def runs(self) -> list[Run]:
        """The runs that have begun, oldest first."""
        identities = [self.store.json(key) for key in self.store.keys("runs/") if key.endswith("/run.json")]
        return [Run("dropspot", i["run_id"]) for i in sorted(identities, key=lambda i: i["created_at"])]

    def prepare(
        self, run: Run, samples: int = 100, *, held_out: str = "a.jpg", classes: Sequence[str] = ("cat",)
    ) -> None:
        """Let the Processing job end as prep_container would; the held-out picture has a box of each class."""
        report = {
            "classes": [{"class_id": number, "name": name} for number, name in enumerate(classes)],
            "num_training_samples": samples,
            "label_width": 17,
        }
        self.store.put_json(run.key("report", "report.json"), report)
        self.store.put_json(run.key("prepared", "classes.json"), {"classes": list(classes)})
        boxes = [UNIT_BOX | {"class_id": number} for number in range(len(classes))]
        truth = {held_out: {"width": 100, "height": 100, "boxes": boxes}}
        self.store.put_json(run.key("prepared", "test", "truth.json"), {"images": truth})
        self.store.put(run.key("prepared", "test", "images", held_out), run.run_id.encode(), "image/jpeg")
        self.world.jobs.end(JobKind.PROCESSING, run.processing_job)

    def train(self, run: Run) -> None:
        model_data = f"s3://bucket/{run.key('model', run.training_job, 'output', 'model.tar.gz')}"
        self.world.jobs.end(JobKind.TRAINING, run.training_job, model_data=model_data)

    def evaluate(self, run: Run, *, good: bool = True) -> None:
        """Let the Transform job end, with each held-out box found or missed."""
        self.answer(run, "raw", good=good)
        self.world.jobs.end(JobKind.TRANSFORM, run.transform_job)

    def come_up(self, status: str = "InService", *, config: str | None = None, reason: str = "") -> None:
        """Let the endpoint come to rest; in service, it answers as the evaluation of the config's run recorded."""
        hosting, name = self.world.hosting, "dropspot-endpoint"
        hosting.settle(name, status, config=config, reason=reason)
        endpoint = hosting.endpoints[name]
        if status == "InService":
            run = Run.from_name("dropspot", endpoint.config)
            self.world.inference.serve(name, endpoint.variant, lambda image: self.recorded(run), attributes_of(run))

    def recorded(self, run: Run) -> list[list[float]]:
        """Return what the run's evaluation recorded of its one held-out picture."""
        [key] = self.store.keys(run.key("evaluation", "raw/"))
        rows: list[list[float]] = self.store.json(key)["prediction"]
        return rows

    @property
    def now(self) -> str:
        return timestamp(self.world.clock.now())

    def retrain(self, cause: str, request: object = None) -> None:
        """Let a request for a retraining arrive."""
        event = {"command": "start_retraining", "request": {} if request is None else request, "cause": cause}
        self.call("start_retraining", event | {"requested_at": self.now})

    def roll_back(self, run: Run | None = None, requested_at: str = "") -> None:
        """Let a request for a rollback arrive."""
        at = requested_at or self.now
        request = {"run_id": run.run_id} if run else {}
        event = {"command": "restore_model", "request": request, "cause": "event-r", "requested_at": at}
        self.call("restore_model", event)

    def answer(self, run: Run, outputs: str, *, good: bool = True, classes: Sequence[int] | None = None) -> None:
        """Write a transform's outputs; `classes` are the model's ids of the boxes, in the truth's order."""
        for name, picture in self.store.json(run.key("prepared", "test", "truth.json"))["images"].items():
            ids = classes or [box["class_id"] for box in picture["boxes"]]
            rows = [[n, 0.9, 0.1, 0.1, 0.5, 0.5] if good else [n, 0.9, 0.6, 0.6, 0.9, 0.9] for n in ids]
            self.store.put_json(run.key("evaluation", outputs, f"{name}.out"), {"prediction": rows})

    def reconcile(self) -> None:
        self.call("reconcile_endpoint", {"command": "reconcile_endpoint", "cause": "event-1"})

    def judge(self, run: Run, *, good: bool = True) -> None:
        """Take a run that has begun through preparation, training, evaluation and the gate."""
        self.prepare(run)
        self.command("start_training", run, "prep")
        self.train(run)
        self.command("start_evaluation", run, "train")
        self.evaluate(run, good=good)
        self.command("deploy_model", run, "eval")

    def deploy(self, run: Run) -> None:
        """Take a run that has begun into service."""
        self.judge(run)
        self.reconcile()
        self.come_up()
        self.reconcile()


def begun(road: Road, dataset: str = "pets") -> Run:
    before = set(road.runs)
    road.upload(dataset)
    road.settle(f"datasets/{dataset}/images.tar.gz")
    [run] = set(road.runs) - before
    return run


def state(road: Road, run: Run) -> str:
    return RunStatus.of(set(road.store.children(run.key("")))).state
