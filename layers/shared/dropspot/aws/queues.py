"""The queues on SQS, and the event source mapping that empties one of them."""

from collections.abc import Iterable, Mapping
from itertools import islice

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import code_of, translated
from dropspot.errors import TransientError

_VISIBLE_AGAIN = {"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "ReceiptHandleIsInvalid"}


class SqsQueues:
    """The queues on SQS."""

    def send(self, queue_url: str, body: str, delay_seconds: int, **attributes: str) -> None:
        client("sqs").send_message(
            QueueUrl=queue_url, MessageBody=body, DelaySeconds=delay_seconds, MessageAttributes=_stated(attributes)
        )

    def waiting(self, queue_url: str) -> int:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        answer = client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        return sum(int(number) for number in answer["Attributes"].values())

    def set_aside(self, queue_url: str, body: str, code: str, message: str) -> None:
        reasons = _stated({"ERROR_CODE": code, "ERROR_MESSAGE": message})
        client("sqs").send_message(QueueUrl=queue_url, MessageBody=body, MessageAttributes=reasons)

    def send_all(self, queue_url: str, bodies: Iterable[str]) -> int:
        waiting, sent = iter(bodies), 0
        while batch := list(islice(waiting, 10)):
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
            failed = client("sqs").send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
            if failed:
                raise TransientError(f"send {len(batch)} messages: {len(failed)} failed, {failed[0]['Code']} first")
            sent += len(batch)
        return sent

    def postpone(self, queue_url: str, receipt_handle: str, seconds: int) -> None:
        try:
            client("sqs").change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
        except ClientError as error:
            if code_of(error) in _VISIBLE_AGAIN:
                return  # it may have been received by another already
            raise translated(error, "postpone a message") from error


def _stated(attributes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}


class LambdaIntake:
    """The image queue's event source mapping."""

    def is_open(self, mapping_id: str) -> bool:
        state = client("lambda").get_event_source_mapping(UUID=mapping_id)["State"]
        return state in {"Enabled", "Enabling"}

    def set_open(self, mapping_id: str, wanted: bool) -> None:
        try:
            client("lambda").update_event_source_mapping(UUID=mapping_id, Enabled=wanted)
        except ClientError as error:
            if code_of(error) in {"ResourceInUseException", "ResourceConflictException"}:
                raise TransientError(f"set event source mapping {mapping_id}: {code_of(error)}") from error
            raise translated(error, f"set event source mapping {mapping_id}") from error
