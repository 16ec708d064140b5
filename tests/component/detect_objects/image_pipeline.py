"""detect_objects on a world in memory, and the pictures that are put into it."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from typing import Any

import jsonschema
from handlers import FakeContext, captured_event, load_handler
from PIL import Image

from dropspot import endpoint
from dropspot.images import ImageRef
from dropspot.ports import Endpoint
from dropspot.runs import Run
from dropspot.settled import note
from dropspot.testing import MemoryServices, MemoryStore, memory_services

app = load_handler("detect_objects")

KEY = "images/a folder/cat+dog 100% été.jpg"
RUN = Run("dropspot", "pets-0123456789")
NEXT_RUN = Run("dropspot", "pets-9876543210")
ROWS = [[1.0, 0.75, 0.1, 0.2, 0.3, 0.6], [0.0, 0.9, 0.0, 0.5, 0.5, 1.0], [0.0, 0.1, 0.0, 0.0, 1.0, 1.0]]
QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/images"
DEAD_LETTER_QUEUE = f"{QUEUE}-dead"
RECEIVES = 10
RECHECK_SECONDS = 240
SCHEMA = json.loads(files("dropspot").joinpath("schemas/detections-1.json").read_text(encoding="utf-8"))


def settings(score_threshold: str = "0.5", inference_mode: str = "realtime") -> Any:
    return app.Settings(
        "dropspot",
        "the-bucket",
        "dropspot-endpoint",
        image_queue_url=QUEUE,
        image_dead_letter_queue_url=DEAD_LETTER_QUEUE,
        image_receives=RECEIVES,
        detect_threads=4,
        recheck_seconds=RECHECK_SECONDS,
        score_threshold=score_threshold,
        inference_mode=inference_mode,
    )


def picture(width: int = 64, height: int = 32, kind: str = "JPEG", colour: str = "red", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, kind, **options)
    return buffer.getvalue()


@dataclass
class Pipeline:
    """detect_objects with a bucket, an endpoint and a queue in memory."""

    services: MemoryServices[Any] = field(default_factory=lambda: memory_services(settings()))
    numbers: Any = field(default_factory=count)

    @property
    def store(self) -> MemoryStore:
        return self.services.store

    def serve(self, run: Run = RUN, predict: Callable[[bytes], Any] = lambda image: ROWS) -> None:
        """Put the run's model into service, and let time go on, so that it alone has answered before anybody asks."""
        self.store.put_json(run.key("prepared", "classes.json"), {"classes": ["cat", "dog"]})
        self.store.put_json(endpoint.CHAMPION, {"run_id": run.run_id})
        self.services.inference.serve("dropspot-endpoint", run.run_id, predict)
        config = Endpoint("InService", run.endpoint_config, self.services.clock.now())
        note(self.store, config, run, self.services.clock.now())
        self.services.clock.advance(1)

    def created(self, key: str = KEY) -> dict[str, Any]:
        """Return the event of the upload of what lies under the key."""
        stored = self.store.read(key)
        event: dict[str, Any] = captured_event("image_object_created")
        event["detail"]["object"] |= {"key": key, "size": len(stored.body), "etag": stored.etag}
        event["detail"]["object"]["version-id"] = stored.version_id
        return event

    def deleted(self, key: str = KEY) -> dict[str, Any]:
        event: dict[str, Any] = captured_event("image_object_deleted")
        event["detail"]["object"]["key"] = key
        return event

    def handle(self, *events: dict[str, Any], receives: int = 1, **attributes: str) -> list[str]:
        """Let the function handle a batch of these events; return the message ids that it gave back."""
        records = [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": json.dumps(event),
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "messageAttributes": {name: {"stringValue": value} for name, value in attributes.items()},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:images",
                "awsRegion": "us-east-1",
            }
            for number, event in zip(self.numbers, events, strict=False)
        ]
        answer = app.handler({"Records": records}, FakeContext(), self.services)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def upload(self, body: bytes, key: str = KEY) -> dict[str, Any]:
        """Upload an image and return its event."""
        self.store.put(key, body, "image/jpeg")
        return self.created(key)

    def document(self, key: str = KEY) -> dict[str, Any]:
        """Return the image's document, checked against its schema."""
        document: dict[str, Any] = self.store.json(ImageRef.from_key("the-bucket", key).detections_key)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return document
