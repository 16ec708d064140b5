import json
from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from dropspot import aws
from dropspot.errors import TransientError
from dropspot.ports import EventBus, Intake
from dropspot.testing import MemoryBus, MemoryIntake, MemoryQueues, PostponedMessage, SentMessage


@pytest.fixture
def bus(side: str) -> EventBus:
    return MemoryBus() if side == "memory" else aws.EventBridgeBus("dropspot")


def test_every_event_has_an_id_of_its_own(bus: EventBus) -> None:
    first, second = bus.put("Model Deployed", {"run_id": "a"}), bus.put("Model Deployed", {"run_id": "a"})
    assert first
    assert first != second


def test_a_detail_that_is_no_json_is_refused(bus: EventBus) -> None:
    with pytest.raises(TypeError):
        bus.put("Model Deployed", {"run_id": b"bytes"})


def test_the_memory_keeps_what_was_put() -> None:
    bus = MemoryBus()
    event_id = bus.put("Model Deployed", {"run_id": "a"})
    assert bus.of("Model Deployed") == [{"run_id": "a"}]
    assert bus.of("Run Failed") == []
    assert [event.event_id for event in bus.events] == [event_id]


@pytest.mark.usefixtures("moto_cloud")
def test_an_event_reaches_the_rules_of_its_source_and_type() -> None:
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["dropspot"], "detail-type": ["Model Deployed"]}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    aws.EventBridgeBus("dropspot").put("Run Failed", {"run_id": "b"})
    aws.EventBridgeBus("dropspot").put("Model Deployed", {"run_id": "été"})
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"])["detail"] == {"run_id": "été"}


def test_an_event_that_the_bus_did_not_take_may_be_put_again() -> None:
    aws.client.cache_clear()
    with Stubber(aws.client("events")) as stubber:
        entry = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [entry]})
        with pytest.raises(TransientError, match="ThrottlingException"):
            aws.EventBridgeBus("dropspot").put("Model Deployed", {})
    aws.client.cache_clear()


@pytest.mark.usefixtures("moto_cloud")
def test_a_sent_message_arrives_and_a_postponed_one_arrives_again() -> None:
    sqs, queues = aws.client("sqs"), aws.SqsQueues()
    url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    queues.send(url, '{"key": "été"}', 0)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == '{"key": "été"}'
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    queues.postpone(url, message["ReceiptHandle"], 0)
    (again,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert again["MessageId"] == message["MessageId"]


@pytest.mark.usefixtures("moto_cloud")
def test_a_delayed_message_is_not_there_yet() -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    aws.SqsQueues().send(url, "later", 60)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_the_memory_keeps_what_was_sent_and_postponed() -> None:
    queues = MemoryQueues()
    queues.send("url", "body", 30)
    queues.postpone("url", "receipt", 5)
    assert queues.sent == [SentMessage("url", "body", 30)]
    assert queues.postponed == [PostponedMessage("url", "receipt", 5)]


# ---- The event source mapping: its states are stated, since a mapping needs a function and moto's needs Docker ----

MAPPING = "91eaeb7e-c976-4939-9cff-28e9f6de7c5d"


@pytest.fixture
def stubbed() -> Iterator[Stubber]:
    aws.client.cache_clear()
    with Stubber(aws.client("lambda")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()


def test_an_intake_opens_and_closes(stubbed: Stubber) -> None:
    for state in ("Disabled", "Enabling", "Enabled", "Disabling"):
        if state in {"Enabling", "Disabling"}:
            asked = {"UUID": MAPPING, "Enabled": state == "Enabling"}
            stubbed.add_response("update_event_source_mapping", {"State": state}, asked)
        stubbed.add_response("get_event_source_mapping", {"State": state}, {"UUID": MAPPING})
    adapter = aws.LambdaIntake()
    assert not adapter.is_open(MAPPING)
    adapter.set_open(MAPPING, True)
    assert adapter.is_open(MAPPING)
    assert adapter.is_open(MAPPING)
    adapter.set_open(MAPPING, False)
    assert not adapter.is_open(MAPPING)

    memory = MemoryIntake()
    assert not memory.is_open(MAPPING)
    memory.set_open(MAPPING, True)
    memory.set_open(MAPPING, True)
    assert memory.is_open(MAPPING)
    memory.set_open(MAPPING, False)
    assert not memory.is_open(MAPPING)


def test_an_intake_between_two_states_is_asked_again_later(stubbed: Stubber) -> None:
    stubbed.add_client_error("update_event_source_mapping", "ResourceInUseException", "in use", 400)
    memory = MemoryIntake()
    memory.between.add(MAPPING)
    sides: list[Intake] = [aws.LambdaIntake(), memory]
    for intake in sides:
        with pytest.raises(TransientError):
            intake.set_open(MAPPING, True)
