"""A stack in asynchronous mode: the same documents, and an endpoint without an instance while nobody asks."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import Deployed, wait_for
from e2e.conftest import TINY
from e2e.test_backfill import broken
from PIL import Image

from dropspot_cli import env_file
from dropspot_cli.toybox import write_toybox

pytestmark = [pytest.mark.e2e, pytest.mark.full]  # it trains on a cloud of its own


@pytest.fixture(scope="module")
def asleep() -> Iterator[Deployed]:
    """Give a stack in asynchronous mode, with a model in service."""
    state = Path(tempfile.mkdtemp(prefix="dropspot-e2e-"))
    cloud = Deployed(state)
    try:
        cloud.command("up", "--parameter", "InferenceMode=async", "--parameter", "AsyncIdleSeconds=5")
        cloud.exports = env_file.read(state / "env")
        folder = state / "small"
        write_toybox(folder, images=24, seed=1)
        (folder / "training.json").write_text(json.dumps(TINY))
        cloud.command("push", str(folder), "--name", "small")
        run_id = cloud.run("small")
        assert cloud.ended(run_id, seconds=400) == "deployed", cloud.json(f"runs/{run_id}/failure.json")
        yield cloud
    finally:
        cloud.command("down")
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def photo(asleep: Deployed) -> bytes:
    return sorted((asleep.state / "small" / "images").iterdir())[0].read_bytes()


def instances(cloud: Deployed) -> int:
    described = cloud.client("sagemaker").describe_endpoint(EndpointName=cloud.exports["DROPSPOT_ENDPOINT"])
    return sum(variant["CurrentInstanceCount"] for variant in described["ProductionVariants"])


def test_images_get_the_same_documents_as_by_an_endpoint_that_answers_at_once(asleep: Deployed, photo: bytes) -> None:
    webp = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(webp, "WEBP")
    images = {f"{number:02d}.jpg": photo for number in range(8)}
    images |= {
        "a b+c/été.jpg": photo,
        "other kind.jpg": webp.getvalue(),
        "none.jpg": b"no picture",
        "broken.png": broken(photo),
    }
    for name, body in images.items():
        asleep.put(f"images/{name}", body)
    documents = {name: asleep.document(f"images/{name}", seconds=120) for name in images}
    assert {name for name, document in documents.items() if document["status"] == "rejected"} == {
        "none.jpg",
        "broken.png",
    }
    assert documents["broken.png"]["rejection"]["code"] == "refused_by_model"
    first = documents["00.jpg"]
    assert documents["a b+c/été.jpg"]["detections"] == first["detections"]
    assert first["model"]["run_id"] == asleep.runs("small")[0]
    wait_for(
        "nothing to be awaited any more", lambda: not asleep.keys("async/awaited/") + asleep.keys("async/payloads/")
    )


def test_the_newest_image_wins_and_a_deleted_one_s_document_goes(asleep: Deployed, photo: bytes) -> None:
    smaller = io.BytesIO()
    Image.open(io.BytesIO(photo)).resize((64, 48)).save(smaller, "JPEG")
    for body in (photo, smaller.getvalue(), photo, smaller.getvalue()):
        asleep.put("images/again.jpg", body)
    assert asleep.document("images/again.jpg", seconds=120)["image"]["width"] == 64
    asleep.s3.delete_object(Bucket=asleep.bucket, Key="images/again.jpg")
    wait_for("the document to go", lambda: asleep.json("detections/again.jpg.json") is None)


def test_an_idle_endpoint_has_no_instance_and_an_image_wakes_it(asleep: Deployed, photo: bytes) -> None:
    wait_for("the endpoint to sleep", lambda: instances(asleep) == 0, seconds=150)  # scaling is set up within a minute
    asleep.put("images/early bird.jpg", photo)
    assert asleep.document("images/early bird.jpg", seconds=120)["status"] == "detected"
    assert "the dead-letter queues are empty" in asleep.command("redrive", "--list").stdout
