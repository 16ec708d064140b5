"""Documents that went missing, and messages that were given up."""

import json

import pytest
from deployed import Deployed, wait_for
from e2e.test_detections import drained

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("champion")]


def test_an_audit_finds_what_is_wrong_and_repairs_it(deployed: Deployed, picture: bytes) -> None:
    for name in ("lost.jpg", "kept.jpg"):
        deployed.put(f"images/audited/{name}", picture)
        deployed.document(f"images/audited/{name}")
    drained(deployed)
    deployed.s3.delete_object(Bucket=deployed.bucket, Key="detections/audited/lost.jpg.json")
    deployed.put("detections/audited/orphan.jpg.json", b"{}")
    answer = deployed.command("audit", "audited/", check=False)
    assert answer.returncode == 1
    assert "1 image without a document" in answer.stdout
    assert "1 image gone, with a document left behind" in answer.stdout
    assert "handed 2 images to the image queue" in deployed.command("audit", "audited/", "--repair").stdout
    deployed.document("images/audited/lost.jpg")
    wait_for("the orphan to go", lambda: deployed.json("detections/audited/orphan.jpg.json") is None)
    assert "every image has its document" in deployed.command("audit", "audited/").stdout


def test_what_was_given_up_is_shown_and_brought_back(deployed: Deployed, picture: bytes) -> None:
    key = "images/given up/été+1.jpg"
    deployed.put(key, picture)
    deployed.document(key)
    drained(deployed)
    deployed.s3.delete_object(Bucket=deployed.bucket, Key="detections/given up/été+1.jpg.json")
    event = {"detail-type": "Object Created", "source": "aws.s3", "detail": {"object": {"key": key}}}
    deployed.client("sqs").send_message(
        QueueUrl=deployed.outputs["ImageDeadLetterQueueUrl"],
        MessageBody=json.dumps(event),
        MessageAttributes={"ERROR_CODE": {"DataType": "String", "StringValue": "TransientError"}},
    )
    shown = deployed.command("redrive", "--list").stdout
    assert key in shown
    assert "TransientError" in shown
    assert "brought back 1 message of images" in deployed.command("redrive", "--yes").stdout
    deployed.document(key)
    assert "the dead-letter queues are empty" in deployed.command("redrive", "--list").stdout
