"""The soak: images under faults, and what must be true at its end."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from dropspot import aws
from dropspot.errors import InvalidInputError
from dropspot.images import ImageRef
from soak.faults import FaultyProxy, Rates
from soak.instant import CLASSES, INSTANT_PROGRAM, POISON, seen
from soak.place import INSTANT, RUN, Place, wait_for

RECEIVES = 7  # instead of 10, so that what is made to fail is given up within two minutes
RECHECK_SECONDS = 20  # instead of 240, after which a deletion is looked at again
VISIBILITY_SECONDS = 15  # instead of 18 minutes, after which a killed worker's images come again
_UPLOADERS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of what. Acts come after so many requests of detect_objects, so that a slow machine gets on too."""

    images: int
    seed: int = 0
    kills: int = 400
    container_kills: int = 1500
    replacements: int = 5000
    rates: Rates = field(default_factory=Rates)


@dataclass
class Soak:
    """One run of it. `expected` are the bytes under each key in the end, None where the image was deleted."""

    place: Place
    plan: Plan
    expected: dict[str, bytes | None] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    other_config: str = ""

    def run(self) -> list[str]:
        """Do it all; return what is wrong in the end."""
        place, plan = self.place, self.plan
        self.other_config = place.configure(INSTANT, suffix="-other")
        place.serve(INSTANT)
        queue = place.outputs["ImageQueueUrl"]
        visibility = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=visibility)
        cloud_port = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
        with _announcements(place) as told, FaultyProxy(cloud_port, plan.rates, plan.seed) as proxy:
            place.tell(AWS_ENDPOINT_URL=proxy.url, IMAGE_RECEIVES=str(RECEIVES), RECHECK_SECONDS=str(RECHECK_SECONDS))
            with self._trouble(proxy):
                self._upload()
                wait_for("a queue that is nearly empty", lambda: place.waiting() < max(30, plan.images // 50), 3600)
            proxy.calm()
            place.wait_until_served()
            wait_for("an empty queue", lambda: place.waiting() == 0, 600)
            with suppress(TimeoutError):
                wait_for("the last announcements", lambda: not self._untold(told), 30, pause=2)
            self.done.update(proxy.made)
            self.done["documents told of"] = sum(told.values())
            return [*self._wrong_documents(), *self._wrong_leftovers(), *self._untold(told)]

    def _upload(self) -> None:
        """Put every image, and some of them twice, again with other bytes, or away again; some events come doubled."""
        rng = random.Random(self.plan.seed)
        acts = [(number, rng.random()) for number in range(self.plan.images)]
        with ThreadPoolExecutor(_UPLOADERS) as pool:
            list(pool.map(lambda act: self._upload_one(*act), acts))

    def _upload_one(self, number: int, chance: float) -> None:
        key = f"images/{number % 7}/{number:05d} é+.jpg"
        body = picture(number)
        first = self._put(key, body)
        if chance < 0.10:  # replaced, and the older event comes once more, after the newer one
            body = picture(number + 1_000_000)
            self._put(key, body)
            self._send(first)
            self.done["images replaced, events reversed"] += 1
        elif chance < 0.20:
            self._send(first)
            self._send(first)
            self.done["events doubled"] += 2
        elif chance < 0.22:
            aws.client("s3").delete_object(Bucket=self.place.bucket, Key=key)
            self._send(first)
            self.done["images deleted"] += 1
            self.expected[key] = None
            return
        elif chance < 0.222:
            body += POISON
            self._put(key, body)
            self.done["images made to fail"] += 1
        elif chance < 0.24:
            body = b"no picture %d" % number
            self._put(key, body)
            self.done["images to be rejected"] += 1
        self.expected[key] = body

    def _put(self, key: str, body: bytes) -> dict[str, Any]:
        """Put an image; return the event that S3 sends of it."""
        answer = aws.client("s3").put_object(Bucket=self.place.bucket, Key=key, Body=body)
        found = {"key": key, "size": len(body), "etag": answer["ETag"].strip('"')}
        detail = {"bucket": {"name": self.place.bucket}, "object": found | {"version-id": answer["VersionId"]}}
        return {"detail-type": "Object Created", "source": "aws.s3", "detail": detail}

    def _send(self, event: dict[str, Any]) -> None:
        aws.client("sqs").send_message(QueueUrl=self.place.outputs["ImageQueueUrl"], MessageBody=json.dumps(event))

    @contextmanager
    def _trouble(self, proxy: FaultyProxy) -> Iterator[None]:
        """Meanwhile kill workers and the endpoint's container, and replace the endpoint."""
        over, plan = threading.Event(), self.plan
        acts = (
            (plan.kills, self._kill_a_worker),
            (plan.container_kills, self._kill_the_container),
            (plan.replacements, self._replace_the_endpoint),
        )

        def act() -> None:
            before = proxy.requests
            while not over.wait(0.1):
                now = proxy.requests
                for every, do in acts:
                    if now // every > before // every:
                        do()
                before = now

        actor = threading.Thread(target=act)
        actor.start()
        try:
            yield
        finally:
            over.set()
            actor.join()

    def _kill_a_worker(self) -> None:
        if workers := self.place.workers:
            with suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)
                self.done["workers killed"] += 1

    def _kill_the_container(self) -> None:
        for pid in self.place.pids(INSTANT_PROGRAM):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.done["endpoint processes killed"] += 1

    def _replace_the_endpoint(self) -> None:
        """Update the endpoint to another config of the same model; reconcile_endpoint brings it back by one more."""
        with suppress(InvalidInputError):  # it is being updated
            self.place.update(self.other_config)
            self.done["endpoints replaced"] += 1

    def _wrong_documents(self) -> list[str]:
        store = self.place.store
        present = {found.key for found in store.objects("detections/")}
        wrong, wanted = [], set[str]()
        for key, body in self.expected.items():
            document_key = ImageRef.from_key(store.bucket, key).detections_key
            if body is None or body.endswith(POISON):
                continue
            wanted.add(document_key)
            if document_key not in present:
                wrong.append(f"{key} has no document")
                continue
            document = json.loads(store.read(document_key).body)
            if (is_wrong := mismatch(document, body, store.head(key))) is not None:
                wrong.append(f"{key}: {is_wrong}")
        poisoned = {
            ImageRef.from_key(store.bucket, key).detections_key
            for key, body in self.expected.items()
            if body is not None and body.endswith(POISON)
        }
        # An image that was looked at before it was made to fail has its former document.
        return wrong + [f"{key} describes nothing" for key in sorted(present - wanted - poisoned)]

    def _wrong_leftovers(self) -> list[str]:
        """The dead-letter queue holds what was made to fail, each with its reason, and nothing else."""
        url, found = self.place.outputs["ImageDeadLetterQueueUrl"], dict[str, str]()
        while True:
            answer = aws.client("sqs").receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
            )
            if not answer.get("Messages"):
                break
            for message in answer["Messages"]:
                key = json.loads(message["Body"])["detail"]["object"]["key"]
                found[key] = message.get("MessageAttributes", {}).get("ERROR_MESSAGE", {}).get("StringValue", "")
        made = {key for key, body in self.expected.items() if body is not None and body.endswith(POISON)}
        wrong = [f"{key} was given up: {found[key]}" for key in sorted(found.keys() - made)]
        wrong += [f"{key} was made to fail and is not in the dead-letter queue" for key in sorted(made - found.keys())]
        return wrong + [f"{key} was given up without a reason" for key, reason in found.items() if not reason]

    def _untold(self, told: Counter[tuple[str, str]]) -> list[str]:
        """Every document was told of, with the version that it describes."""
        settled = {key: body for key, body in self.expected.items() if body and not body.endswith(POISON)}
        return [f"nobody was told of {key}" for key in settled if not told[key, self.place.store.head(key) or ""]]


def mismatch(document: dict[str, Any], body: bytes, etag: str | None) -> str | None:
    """Return what is wrong with the document of an image with these bytes, None for nothing."""
    if document["image"]["etag"] != etag:
        return "it describes another version"
    if body.startswith(b"no picture"):
        code = (document["rejection"] or {}).get("code")
        return None if code == "unsupported_format" else f"it is {document['status']}, code {code}"
    if document["status"] != "detected":
        return f"it is rejected: {document['rejection']}"
    if document["model"]["run_id"] != RUN.run_id:
        return f"it names the run {document['model']['run_id']}"
    class_id, _, left, top, right, bottom = seen(body)
    (found,) = document["detections"]
    box = tuple(found["box"][side] for side in ("xmin", "ymin", "xmax", "ymax"))
    wanted = tuple(round(side, 6) for side in (left, top, right, bottom))
    is_right = found["label"] == CLASSES[int(class_id)] and box == wanted
    return None if is_right else f"it says {found['label']} at {box}, not {CLASSES[int(class_id)]} at {wanted}"


def picture(number: int) -> bytes:
    """A small JPEG that no other number has."""
    buffer = io.BytesIO()
    comment = f"picture {number}".encode()
    Image.new("RGB", (64, 48), (number % 256, number // 256 % 256, 90)).save(buffer, "JPEG", comment=comment)
    return buffer.getvalue()


@contextmanager
def _announcements(place: Place) -> Iterator[Counter[tuple[str, str]]]:
    """Count the events of images by key and ETag, from a queue that a rule fills, while this lasts."""
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="announcements")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["dropspot"], "detail-type": ["Image Detected", "Image Rejected"]}
    events.put_rule(Name="announcements", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="announcements", Targets=[{"Id": "queue", "Arn": arn}])
    told, over = Counter[tuple[str, str]](), threading.Event()

    def read() -> None:
        while not over.is_set():
            messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            for message in messages:
                detail = json.loads(message["Body"])["detail"]
                told[detail["key"], detail["etag"]] += 1
            if messages:
                entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
                sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            else:
                time.sleep(0.2)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield told
    finally:
        over.set()
        reader.join()
