"""Images that were there before: looked at in bulk, by jobs."""

import io

import pytest
from deployed import Deployed
from e2e.test_detections import drained
from PIL import Image

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("champion")]

ODD = ["with space.jpg", "a+b.jpg", "100%.jpg", "crème brûlée/été.jpg", 'quo"te.jpg']
OTHERS = {"line\nbreak.jpg", "a//b.jpg", "other kind.jpg", "empty.jpg", "broken.png"}


def broken(picture: bytes) -> bytes:
    """Return a picture with sound headers and no sound content: functions pass it on, the detector refuses it."""
    file = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(file, "PNG")
    png = file.getvalue()
    middle = len(png) // 2
    return png[:middle] + bytes(64) + png[middle + 64 :]


def test_a_backfill_gives_existing_images_the_documents_that_events_would_have(
    deployed: Deployed, champion: str, picture: bytes
) -> None:
    webp = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(webp, "WEBP")
    images = {f"{number:02d}.jpg": picture for number in range(30)} | dict.fromkeys(ODD, picture)
    images |= {"line\nbreak.jpg": picture, "a//b.jpg": picture, "other kind.jpg": webp.getvalue()}
    images |= {"empty.jpg": b"", "broken.png": broken(picture)}
    for name, body in images.items():
        deployed.put(f"images/holiday/{name}", body)
    before = {name: deployed.document(f"images/holiday/{name}") for name in images}
    drained(deployed)
    for name in images:
        deployed.s3.delete_object(Bucket=deployed.bucket, Key=f"detections/holiday/{name}.json")

    answer = deployed.command("backfill", "holiday/", "--instances", "2")

    plain = len(images) - len(OTHERS)
    assert (
        f"{plain} documents written, 0 already as they should be, 5 images handed to the image queue" in answer.stdout
    )
    for name, document in before.items():
        after = deployed.document(f"images/holiday/{name}")
        for each in (document, after):
            del each["created_at"], each["image"]["sequencer"]
        assert after == document, name
    assert before["broken.png"]["rejection"]["code"] == "refused_by_model"
    assert before["00.jpg"]["model"]["run_id"] == champion
    drained(deployed)
    jobs = deployed.client("sagemaker").list_transform_jobs(NameContains="-backfill")["TransformJobSummaries"]
    assert [job["TransformJobStatus"] for job in jobs] == ["Failed"]  # of the broken picture alone
    assert deployed.command("backfill", "holiday/").stdout.count("0 documents written, 0 already") == 2


def test_a_backfill_that_makes_no_sense_is_refused_in_one_sentence(deployed: Deployed) -> None:
    answer = deployed.command("backfill", "--redetect", "--since", "yesterday", check=False)
    assert (answer.returncode, answer.stderr.strip()) == (
        1, "dropspot: backfill: redetect must be true or a moment, not 'yesterday'",
    )  # fmt: skip
