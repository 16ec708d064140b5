"""Images in, documents out."""

import io
import json
from collections.abc import Callable

import pytest
from deployed import Deployed, wait_for
from PIL import Image

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("champion")]

KEYS = [
    "plain.jpg",
    "with space.jpg",
    "a+b.jpg",
    "100%.jpg",
    "%2B.jpg",
    "crème brûlée/été.jpg",
    "no-suffix",
    'quo"te.jpg',
]


@pytest.mark.parametrize("name", KEYS)
def test_every_key_gets_its_own_document(deployed: Deployed, champion: str, picture: bytes, name: str) -> None:
    deployed.put(f"images/{name}", picture)
    document = deployed.document(f"images/{name}")
    assert document["status"] == "detected"
    assert document["image"]["key"] == f"images/{name}"
    assert document["model"]["run_id"] == champion
    assert document["detections"]
    assert [key for key in deployed.keys("detections/") if key.startswith(f"detections/{name}")] == [
        f"detections/{name}.json"
    ]


def test_the_same_event_twice_is_one_correct_document(deployed: Deployed, picture: bytes) -> None:
    deployed.put("images/twice.jpg", picture)
    before = deployed.document("images/twice.jpg")
    event = {
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
        "source": "aws.s3", "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{deployed.bucket}"],
        "detail": {
            "version": "0", "bucket": {"name": deployed.bucket}, "reason": "PutObject",
            "object": {"key": "images/twice.jpg", "size": 5, "etag": before["image"]["etag"], "sequencer": "00617F08"},
        },
    }  # fmt: skip
    for _ in range(2):
        deployed.client("sqs").send_message(QueueUrl=deployed.outputs["ImageQueueUrl"], MessageBody=json.dumps(event))
    drained(deployed)
    assert deployed.document("images/twice.jpg")["detections"] == before["detections"]
    assert deployed.keys("detections/twice.jpg") == ["detections/twice.jpg.json"]


def test_two_uploads_of_one_key_leave_the_newer_ones_document(
    deployed: Deployed, picture: bytes, other_picture: bytes
) -> None:
    for body in (picture, other_picture, picture, other_picture):
        deployed.put("images/again.jpg", body)
    document = deployed.document("images/again.jpg")
    drained(deployed)
    assert deployed.document("images/again.jpg")["image"]["etag"] == document["image"]["etag"]
    deployed.put("images/reference.jpg", other_picture)
    assert deployed.document("images/reference.jpg")["detections"] == document["detections"]


def test_a_deleted_images_document_goes(deployed: Deployed, picture: bytes) -> None:
    deployed.put("images/gone.jpg", picture)
    deployed.document("images/gone.jpg")
    deployed.s3.delete_object(Bucket=deployed.bucket, Key="images/gone.jpg")
    wait_for("the document to go", lambda: deployed.json("detections/gone.jpg.json") is None)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda image: encoded(image, "PNG"), id="png"),
        pytest.param(lambda image: encoded(image, "WEBP"), id="webp"),
        pytest.param(lambda image: encoded(image.convert("CMYK"), "JPEG"), id="cmyk"),
        pytest.param(lambda image: encoded(image.convert("P"), "GIF"), id="gif"),
    ],
)
def test_a_picture_of_another_kind_is_looked_at_all_the_same(
    deployed: Deployed, picture: bytes, convert: Callable[[Image.Image], bytes], request: pytest.FixtureRequest
) -> None:
    key = f"images/kinds/{request.node.callspec.id}.jpg"
    image = Image.open(io.BytesIO(picture))
    deployed.put(key, convert(image))
    document = deployed.document(key)
    assert document["status"] == "detected"
    assert (document["image"]["width"], document["image"]["height"]) == image.size


@pytest.mark.parametrize(("body", "code"), [(b"", "empty_object"), (b"no picture", "unsupported_format")])
def test_what_is_no_picture_is_rejected_by_name(deployed: Deployed, body: bytes, code: str) -> None:
    deployed.put(f"images/{code}.jpg", body)
    document = deployed.document(f"images/{code}.jpg")
    assert (document["status"], document["rejection"]["code"]) == ("rejected", code)


def test_the_command_detects_and_draws(deployed: Deployed, toybox: object, tmp_path: object) -> None:
    from pathlib import Path

    pictures = sorted((Path(str(toybox)) / "images").iterdir())[:3]
    out = Path(str(tmp_path)) / "drawn"
    answer = deployed.command("detect", *map(str, pictures), "--out", str(out))
    assert len(list(out.iterdir())) == 3
    assert all(path.name in answer.stdout for path in pictures)


def drained(deployed: Deployed) -> None:
    """Wait until the image queue is empty."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def empty() -> bool:
        answer = deployed.client("sqs").get_queue_attributes(
            QueueUrl=deployed.outputs["ImageQueueUrl"], AttributeNames=names
        )
        return not any(int(answer["Attributes"][name]) for name in names)

    wait_for("an empty image queue", empty)
