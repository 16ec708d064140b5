"""From a data set to a model in service, and on from there."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed import Deployed, wait_for

pytestmark = pytest.mark.e2e

Small = Callable[..., Path]


def test_the_demos_data_set_becomes_a_good_model(deployed: Deployed, champion: str) -> None:
    evaluation = deployed.json(f"runs/{champion}/evaluation/evaluation.json")
    report = deployed.json(f"runs/{champion}/report/report.json")
    assert evaluation is not None
    assert report is not None
    assert evaluation["map50"] >= 0.80
    assert evaluation["images"] == report["splits"]["test"]["images"]
    assert deployed.runs("toybox")[0] == champion


def test_a_retraining_by_event_redeploys_while_the_endpoint_answers(
    deployed: Deployed, champion: str, small: Small, picture: bytes
) -> None:
    """The served data set's content is made small first, so that the retraining takes seconds."""
    known = deployed.runs("toybox")
    deployed.replace_data(small(1), "toybox")
    second = deployed.next_run("toybox", known)
    assert deployed.ended(second) == "deployed"

    answers, errors, done = [], [], threading.Event()

    def ask() -> None:
        runtime = deployed.client("sagemaker-runtime")
        while not done.is_set():
            try:
                answer = runtime.invoke_endpoint(
                    EndpointName=deployed.outputs["EndpointName"], ContentType="application/x-image", Body=picture
                )
                json.loads(answer["Body"].read())
                answers.append(answer["CustomAttributes"].removeprefix("run_id="))
            except ClientError as error:
                errors.append(error)
            time.sleep(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        event = {
            "Source": "dropspot",
            "DetailType": "Retraining Requested",
            "Detail": json.dumps({"dataset": "toybox"}),
        }
        deployed.client("events").put_events(Entries=[event])
        third = deployed.next_run("toybox", [*known, second])
        assert deployed.ended(third) == "deployed"
        wait_for("an answer of the new model", lambda: third in answers)
    finally:
        done.set()
        asking.join()
    assert not errors
    assert list(dict.fromkeys(answers)) == [second, third]
    # it is written last, after what the run itself keeps
    wait_for("the new champion", lambda: (deployed.json("endpoint/champion.json") or {}).get("run_id") == third)


def test_a_second_data_set_is_judged_and_leaves_the_endpoint_alone(
    deployed: Deployed, champion: str, small: Small
) -> None:
    before = deployed.json("endpoint/champion.json")
    deployed.upload(small(2), "second")
    run_id = deployed.run("second")
    assert deployed.ended(run_id) == "judged"
    verdict = deployed.json(f"runs/{run_id}/verdict.json")
    assert verdict is not None
    assert verdict["status"] == "not_served"
    assert deployed.json("endpoint/champion.json") == before


def test_a_failed_training_says_why_and_starts_again_once_mended(
    deployed: Deployed, champion: str, small: Small
) -> None:
    # The name and the value are the algorithm's own, so the plan's check lets it pass: the container has to refuse it.
    folder = small(3, {"hyperparameters": {"base_network": "vgg-16", "use_pretrained_model": 1, "epochs": 1}})
    deployed.upload(folder, "mended")
    failure = deployed.failure(deployed.run("mended"))
    assert failure["step"] == "train"
    assert "dropspot retrain mended" in failure["remedy"]
    assert "\n" not in failure["message"]
    plan = {"hyperparameters": {"base_network": "tiny", "image_shape": 128, "epochs": 1}, "gate": {"min_map50": 0}}
    deployed.put("datasets/mended/training.json", json.dumps(plan).encode())
    assert deployed.ended(deployed.run("mended", 1)) == "judged"


def test_an_upload_that_goes_on_for_three_times_the_settle_time_starts_one_run(
    deployed: Deployed, champion: str, small: Small
) -> None:
    folder, settle = small(4), 3.0
    parts = sorted(path for path in folder.rglob("*") if path.is_file())
    began, multipart_key = time.monotonic(), "datasets/slow/notes.bin"
    upload = deployed.s3.create_multipart_upload(Bucket=deployed.bucket, Key=multipart_key)
    pause = 3 * settle / len(parts)
    for path in parts:
        deployed.s3.upload_file(str(path), deployed.bucket, f"datasets/slow/{path.relative_to(folder).as_posix()}")
        time.sleep(pause)
    time.sleep(2 * settle)  # only the multipart upload is still open
    assert time.monotonic() - began >= 3 * settle
    assert deployed.runs("slow") == []
    where = {"Bucket": deployed.bucket, "Key": multipart_key, "UploadId": upload["UploadId"]}
    part = deployed.s3.upload_part(**where, PartNumber=1, Body=b"nothing that trains")
    deployed.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    run_id = deployed.run("slow")
    assert deployed.ended(run_id) == "judged"
    assert deployed.runs("slow") == [run_id]


def notifications(deployed: Deployed) -> Callable[[], list[str]]:
    """Subscribe a queue to the notifications; return a function that reads what has come."""
    sqs = deployed.client("sqs")
    queue = sqs.create_queue(QueueName="notifications")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    deployed.client("sns").subscribe(TopicArn=deployed.outputs["NotificationTopicArn"], Protocol="sqs", Endpoint=arn)
    seen: list[str] = []

    def read() -> list[str]:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            seen.append(json.loads(message["Body"])["Message"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return seen

    return read


def logged(deployed: Deployed, text: str) -> bool:
    """Tell whether any function or job has logged the text."""
    logs = deployed.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
            if any(text in event["message"] for event in events):
                return True
    return False


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unannotated": ({"images/a.jpg": "picture"}, "annotation"),
    "unreadable": ({"images.tar.gz": b"this is no archive"}, "images.tar.gz"),
    "unknown": ({"images/a.jpg": "picture", "training.json": b'{"hyperparameters": {"epoch": 1}}'}, "epoch"),
    "impossible": ({"images/a.jpg": "picture", "training.json": b'{"split": {"train": 2}}'}, "train is 2"),
}


def test_wrong_input_says_so_in_the_run_the_logs_and_the_notification(deployed: Deployed, picture: bytes) -> None:
    read = notifications(deployed)
    for name, (files, _) in WRONG.items():
        for key, body in files.items():
            deployed.put(f"datasets/wrong-{name}/{key}", picture if body == "picture" else body)
    for name, (_, word) in WRONG.items():
        run_id = deployed.run(f"wrong-{name}")
        message = deployed.failure(run_id)["message"]
        assert word in message, message
        assert "\n" not in message
        assert "Traceback" not in message
        wait_for(
            f"the notification of {run_id}",
            lambda run_id=run_id, word=word: any(run_id in text and word in text for text in read()),  # type: ignore[misc]
        )
        assert logged(deployed, message[:60]), message
