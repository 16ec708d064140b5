"""`dropspot redrive` on moto's queues."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from rich.console import Console

from dropspot import aws
from dropspot_cli import redriving
from dropspot_cli.redriving import DeadLetters, redrive, stranded

KEY = "images/a+b c/été.jpg"
EVENT = json.dumps({"detail-type": "Object Created", "detail": {"object": {"key": KEY}}})
COMMAND = {
    "requestContext": {
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:dropspot-StartTraining-X:$LATEST",
        "condition": "RetriesExhausted",
    },
    "requestPayload": {"command": "start_training", "job": "dropspot-pets-0123456789-prep", "cause": "e"},
    "responsePayload": {"errorType": "TransientError", "errorMessage": "read report.json: SlowDown"},
}


@pytest.fixture
def queue() -> Iterator[tuple[str, str]]:
    aws.client.cache_clear()
    with mock_aws():
        sqs = aws.client("sqs")
        yield tuple(sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("dead", "source"))  # type: ignore[misc]
    aws.client.cache_clear()


def dead(url: str, source: str) -> DeadLetters:
    return DeadLetters("images", url, lambda body: aws.client("sqs").send_message(QueueUrl=source, MessageBody=body))


def bodies(url: str) -> list[str]:
    found: list[str] = []
    while messages := aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


def run(queues: list[DeadLetters], answer: bool = True, **options: Any) -> tuple[int, str]:
    told = io.StringIO()
    number = redrive(queues, Console(file=told, width=200), lambda question: answer, **options)
    return number, told.getvalue()


def strand(url: str, *messages: str, **attributes: str) -> None:
    for body in messages:
        stated = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=body, MessageAttributes=stated)


def test_what_is_stranded_is_shown_with_its_reason_and_brought_back(queue: tuple[str, str]) -> None:
    strand(queue[0], EVENT, ERROR_CODE="TransientError", ERROR_MESSAGE="invoke: throttled")
    strand(queue[0], *[json.dumps({"detail": {"object": {"key": f"images/{n}"}}}) for n in range(23)])
    number, told = run([dead(*queue)])
    assert number == 24
    assert "1 failed: TransientError: invoke: throttled" in told
    assert KEY in told
    assert "23 failed: it was received too often in vain" in told
    assert "and 18 more" in told
    assert bodies(queue[0]) == []
    assert EVENT in bodies(queue[1])
    assert run([dead(*queue)]) == (0, "✓ the dead-letter queues are empty\n")


@pytest.mark.parametrize("options", [{"only_list": True}, {"answer": False}])
def test_what_is_not_wanted_stays_where_it_is(queue: tuple[str, str], options: dict[str, bool]) -> None:
    strand(queue[0], EVENT)
    number, told = run([dead(*queue)], **options)
    assert (number, KEY in told) == (0, True)
    assert bodies(queue[1]) == []
    assert bodies(queue[0]) == [EVENT]


def test_a_list_that_ends_early_says_so(queue: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "_AT_ONCE", 20)
    strand(queue[0], *[json.dumps({"detail": {"object": {"key": f"images/{n}"}}}) for n in range(33)])
    _, told = run([dead(*queue)], only_list=True)
    assert "the first 20 of about 33 messages of images:" in told
    assert run([dead(*queue)])[0] == 33


def test_an_interrupted_question_gives_the_messages_back(queue: tuple[str, str]) -> None:
    strand(queue[0], EVENT)

    def interrupt(question: str) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        redrive([dead(*queue)], Console(file=io.StringIO()), interrupt)
    assert bodies(queue[0]) == [EVENT]


def test_a_message_that_cannot_be_brought_back_is_not_lost(queue: tuple[str, str]) -> None:
    strand(queue[0], EVENT)
    letters = DeadLetters("images", queue[0], lambda body: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        run([letters])
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=queue[0], AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"


@pytest.mark.parametrize(
    ("body", "subject", "reason"),
    [
        (json.dumps(COMMAND), "dropspot-StartTraining-X dropspot-pets-0123456789-prep",
         "TransientError: read report.json: SlowDown"),
        (json.dumps(COMMAND | {"responsePayload": None}), "dropspot-StartTraining-X dropspot-pets-0123456789-prep",
         "RetriesExhausted"),
        (json.dumps(COMMAND | {"requestPayload": []}), "dropspot-StartTraining-X",
         "TransientError: read report.json: SlowDown"),
        (EVENT, KEY, "it was received too often in vain"),
        ("no json", "no json", "it was received too often in vain"),
        ("[1]", "[1]", "it was received too often in vain"),
    ],
)  # fmt: skip
def test_a_message_says_what_it_is_about_and_why_it_failed(body: str, subject: str, reason: str) -> None:
    found = stranded({"ReceiptHandle": "r", "Body": body})
    assert (found.subject, found.reason) == (subject, reason)
