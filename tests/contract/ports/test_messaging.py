import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from dropspot import aws
from dropspot.errors import TransientError
from dropspot.ports import EventBus, Intake
from dropspot.testing import (
    MemoryBus,
    MemoryIntake,
    MemoryQueues,
    PostponedMessage,
    SentMessage,
    assert_valid_request,
)


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


@pytest.mark.parametrize("number", [0, 1, 10, 23])
def test_all_events_are_put_in_one_go(bus: EventBus, number: int) -> None:
    assert bus.put_all([("Image Detected", {"number": n}) for n in range(number)]) == [True] * number


def test_events_are_put_in_portions_that_the_service_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[dict[str, str]]] = []

    class Events:
        def put_events(self, **request: list[dict[str, str]]) -> dict[str, object]:
            assert_valid_request("events", "PutEvents", request)
            calls.append(request["Entries"])
            return {"Entries": [{"EventId": "1"} for _ in request["Entries"]]}

    monkeypatch.setattr("dropspot.aws.events.client", lambda service: Events())
    details = [("Image Detected", {"key": "é" * 20_000}) for _ in range(12)]
    details += [("Image Detected", {"key": "a"}) for _ in range(12)]
    assert aws.EventBridgeBus("dropspot").put_all(details) == [True] * 24
    assert sum(len(call) for call in calls) == 24
    assert all(len(call) <= 10 for call in calls)
    assert all(sum(len(v.encode()) for entry in call for v in entry.values()) <= 256 * 1024 for call in calls)


def test_the_events_that_the_bus_did_not_take_are_named() -> None:
    aws.client.cache_clear()
    with Stubber(aws.client("events")) as stubber:
        entries = [{"EventId": "1"}, {"ErrorCode": "InternalFailure", "ErrorMessage": "again"}]
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": entries})
        assert aws.EventBridgeBus("dropspot").put_all([("Image Detected", {})] * 2) == [True, False]
        stubber.add_client_error("put_events", "ThrottlingException", http_status_code=400)
        assert aws.EventBridgeBus("dropspot").put_all([("Image Detected", {})] * 2) == [False, False]
        stubber.add_client_error("put_events", "AccessDeniedException", http_status_code=400)
        with pytest.raises(ClientError, match="AccessDenied"):
            aws.EventBridgeBus("dropspot").put_all([("Image Detected", {})])
    aws.client.cache_clear()


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


@pytest.mark.parametrize("code", ["MessageNotInflight", "ReceiptHandleIsInvalid"])
def test_a_message_that_is_visible_again_needs_no_postponing(code: str) -> None:
    aws.client.cache_clear()
    with Stubber(aws.client("sqs")) as stubber:
        stubber.add_client_error("change_message_visibility", code)
        aws.SqsQueues().postpone("https://queue", "receipt", 60)
        stubber.add_client_error("change_message_visibility", "AccessDenied")
        with pytest.raises(ClientError, match="AccessDenied"):
            aws.SqsQueues().postpone("https://queue", "receipt", 60)
    aws.client.cache_clear()


@pytest.mark.usefixtures("moto_cloud")
def test_a_message_is_sent_with_its_attributes() -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    aws.SqsQueues().send(url, "body", 0, REDRIVEN="true")
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == {"REDRIVEN": "true"}


@pytest.mark.usefixtures("moto_cloud")
def test_a_message_set_aside_states_its_reason_as_eventbridge_does() -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    aws.SqsQueues().set_aside(url, "body", "TransientError", "invoke: 500")
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    reasons = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (message["Body"], reasons) == ("body", {"ERROR_CODE": "TransientError", "ERROR_MESSAGE": "invoke: 500"})


@pytest.mark.parametrize("number", [0, 1, 10, 25])
def test_many_messages_are_sent_in_batches(side: str, number: int) -> None:
    bodies = [f"body {each} été" for each in range(number)]
    if side == "memory":
        queues = MemoryQueues()
        assert queues.send_all("url", iter(bodies)) == number
        assert [message.body for message in queues.sent] == bodies
        assert (queues.waiting("url"), queues.waiting("another")) == (number, 0)
        return
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    assert aws.SqsQueues().send_all(url, iter(bodies)) == number
    assert aws.SqsQueues().waiting(url) == number
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    assert sorted(found) == sorted(bodies)


def test_a_batch_that_is_taken_in_part_is_sent_again() -> None:
    aws.client.cache_clear()
    with Stubber(aws.client("sqs")) as stubber:
        failed = {"Id": "1", "SenderFault": False, "Code": "ThrottlingException"}
        stubber.add_response("send_message_batch", {"Successful": [], "Failed": [failed]})
        with pytest.raises(TransientError, match="2 messages: 1 failed, ThrottlingException first"):
            aws.SqsQueues().send_all("url", ["a", "b"])
    aws.client.cache_clear()


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
