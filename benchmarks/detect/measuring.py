"""One measurement: images are put into the bucket, and the clock stops when each has its document."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from soak.place import Place, wait_for

from dropspot import aws

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
_UPLOADERS = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """What came of one flow of images; processor seconds are of all images together."""

    images: int
    seconds: float
    cloud: float
    workers: float
    endpoint: float
    memory: tuple[float, float]  # MiB that the fullest worker held after a fifth of the images, and at the end

    @property
    def rate(self) -> float:
        return self.images / self.seconds

    @property
    def processor_ms(self) -> float:
        """Of everything but the client that uploads, for each image."""
        return (self.cloud + self.workers + self.endpoint) / self.images * 1000


def flow(place: Place, pictures: list[bytes], count: int, folder: str) -> Flow:
    """Put so many images below images/<folder>/ and wait until each has its document."""
    keys = [f"{folder}/{number:05d}.jpg" for number in range(count)]
    began, before, early = time.perf_counter(), _processor(place), 0.0

    def upload(number: int) -> None:
        body = pictures[number % len(pictures)]
        aws.client("s3").put_object(Bucket=place.bucket, Key=f"images/{keys[number]}", Body=body)

    with ThreadPoolExecutor(_UPLOADERS) as pool:
        for number, _ in enumerate(pool.map(upload, range(count))):
            if number == count // 5:
                early = _fullest(place)
    wait_for("an empty queue", lambda: place.waiting() == 0, seconds=1800)
    seconds, after = time.perf_counter() - began, _processor(place)
    late = _fullest(place)
    found = sum(1 for _ in place.store.objects(f"detections/{folder}/"))
    if found != count:
        raise RuntimeError(f"{count} images of {folder} have {found} documents")
    cloud, workers, endpoint = (now - then for now, then in zip(after, before, strict=True))
    return Flow(count, seconds, cloud, workers, endpoint, (early, late))


@contextmanager
def handled_by(place: Place, name: str, files: Mapping[str, Path], entry: str) -> Iterator[None]:
    """Let other code have the queue: with the role, layers, memory, environment, batches and concurrency of the own."""
    own = place.function()
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        for inside, path in files.items():
            archive.write(path, inside)
    aws.client("lambda").create_function(
        FunctionName=name,
        Code={"ZipFile": code.getvalue()},
        Handler=entry,
        Layers=[layer["Arn"] for layer in own["Layers"]],
        Environment={"Variables": own["Environment"]["Variables"]},
        **{setting: own[setting] for setting in ("Runtime", "Role", "MemorySize", "Timeout")},
    )
    _hand_over(place, name)
    try:
        yield
    finally:
        _hand_over(place, own["FunctionName"])
        aws.client("lambda").delete_function(FunctionName=name)


def bare_handler(place: Place) -> AbstractContextManager[None]:
    """The queue is the bare handler's meanwhile."""
    return handled_by(place, "bare", {"app.py": HERE / "bare_handler.py"}, "app.handler")


def timed_handler(place: Place) -> AbstractContextManager[None]:
    """The queue is meanwhile a detect_objects' that tells how long each of its requests took."""
    own = {path.name: path for path in (ROOT / "functions" / "detect_objects").glob("*.py")}
    return handled_by(place, "timed", own | {"timed.py": HERE / "timed.py"}, "timed.handler")


def _hand_over(place: Place, function: str) -> None:
    aws.client("lambda").update_event_source_mapping(UUID=place.mapping, FunctionName=function)


def single(place: Place, picture: bytes, count: int, folder: str) -> list[dict[str, float]]:
    """Drop images one by one; return the milliseconds of each one's stages and their sum, from put to document.

    Some are dropped together before, so that all workers have started: one that begins among the others takes seconds.
    """
    with ThreadPoolExecutor(_UPLOADERS) as pool:
        list(pool.map(lambda number: _dropped(place, picture, f"{folder}-warm/{number}.jpg"), range(24)))
    return [_dropped(place, picture, f"{folder}/{number}.jpg") for number in range(count)]


def _dropped(place: Place, picture: bytes, key: str) -> dict[str, float]:
    began = time.time()
    aws.client("s3").put_object(Bucket=place.bucket, Key=f"images/{key}", Body=picture)
    put = time.time()
    told = f"detections/timings/images/{key}"
    wait_for(told, lambda: place.store.head(told), pause=0.02)
    timing = json.loads(place.store.read(told).body)
    spans = {name: (start, end) for name, start, end in timing["spans"]}
    written = spans["write document"][1]
    stages = {name: end - start for name, (start, end) in spans.items() if end <= written}
    stages |= {"put": put - began, "on the way": timing["began"] - put}
    stages["own work"] = written - began - sum(stages.values())
    return {name: seconds * 1000 for name, seconds in stages.items()} | {"total": (written - began) * 1000}


def client_rate(place: Place, picture: bytes, count: int, threads: int) -> float:
    """Return the invocations a second of a bare client with so many at once."""

    def ask(_: int) -> None:
        answer = aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=place.outputs["EndpointName"], ContentType="application/x-image", Body=picture
        )
        json.loads(answer["Body"].read())

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(threads)))  # connections are made
        began = time.perf_counter()
        list(pool.map(ask, range(count)))
        return count / (time.perf_counter() - began)


def _processor(place: Place) -> tuple[float, float, float]:
    """Processor seconds of the cloud's own process, of the functions' workers, and of the endpoint's container."""
    ours, containers = place.pids("ministack-lambda-"), place.pids("instant.py") + place.pids("detector.serve")
    cloud = place.pids("dropspot_local")
    return _spent(cloud), _spent(ours), _spent(containers)


def _spent(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _fullest(place: Place) -> float:
    held = []
    for pid in place.pids("ministack-lambda-"):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        held += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
    return max(held, default=0.0)
