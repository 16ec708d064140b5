"""`dropspot redrive`: shows what is stranded in the dead-letter queues, and why, and brings it back.

Each message is sent to where it came from and only then deleted, so a crash in between doubles one and loses none; all
that messages ask for may be done twice. SQS's own message move tasks would not do: they know nothing of messages that
EventBridge or a function has put into a dead-letter queue itself, nor of a function's failed commands.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape

from dropspot import aws
from dropspot.image_events import REDRIVEN
from dropspot_cli.console import counted
from dropspot_cli.stack import Stack

_HELD_SECONDS = 900  # while somebody reads what is about to be brought back
_AT_ONCE = 1000  # messages held together
_SHOWN = 5  # of those that failed for one reason


@dataclass(frozen=True, slots=True)
class Stranded:
    """A message of a dead-letter queue; `subject` is what it is about, `reason` why it failed."""

    receipt: str
    body: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """A dead-letter queue: what lies in it, its URL, and how one of its messages is brought back."""

    name: str
    url: str
    bring_back: Callable[[str], None]

    def receive(self) -> list[Stranded]:
        """Return messages, which nobody else sees for a while; empty where there is none."""
        return list(islice(self._received(), _AT_ONCE))

    def _received(self) -> Iterator[Stranded]:
        while (
            found := aws.client("sqs")
            .receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=_HELD_SECONDS,
                MessageAttributeNames=["All"],
                WaitTimeSeconds=1,  # a short poll asks only some of the servers
            )
            .get("Messages")
        ):
            yield from map(stranded, found)

    def size(self) -> int:
        """Return about how many messages lie there, those that somebody holds included."""
        return aws.SqsQueues().waiting(self.url)

    def release(self, messages: Iterable[Stranded]) -> None:
        """Give messages back as they were."""
        for message in messages:
            aws.client("sqs").change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=0
            )

    def redrive(self, messages: Iterable[Stranded]) -> None:
        """Bring messages back to where they came from."""
        for message in messages:
            self.bring_back(message.body)
            aws.client("sqs").delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)


def stranded(message: dict[str, Any]) -> Stranded:
    """Return a message as SQS gave it, with what can be said of it."""
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    reason = f"{attributes['ERROR_CODE']}: {attributes.get('ERROR_MESSAGE', '')}" if "ERROR_CODE" in attributes else ""
    subject, told = _told(message["Body"])
    return Stranded(
        message["ReceiptHandle"], message["Body"], subject, reason or told or "it was received too often in vain"
    )


def _told(body: str) -> tuple[str, str]:
    """Return what a message is about, and the reason that it states itself: only a function's failed command does."""
    try:
        content = json.loads(body)
    except ValueError:
        return body[:80], ""
    match content:
        case {"requestContext": {"functionArn": str(function), **context}, "requestPayload": payload, **more}:
            error: Any = more.get("responsePayload") or {}
            about = payload.get("job") or payload.get("run_id") or "" if isinstance(payload, dict) else ""
            reason = f"{error.get('errorType', '')}: {error.get('errorMessage', '')}".strip(": ")
            return f"{_function(function)} {about}".strip(), reason or str(context.get("condition", ""))
        case {"detail": {"object": {"key": str(key)}}}:
            return key, ""
    return body[:80], ""


def _function(arn: str) -> str:
    return arn.partition(":function:")[2].partition(":")[0]


def dead_letter_queues(stack: Stack) -> list[DeadLetters]:
    """Return the stack's dead-letter queues."""
    found = [DeadLetters("failed commands", stack.outputs["CommandDeadLetterQueueUrl"], invoke_again)]
    kinds = {"Image": "images", "Dataset": "changes of data sets", "Inference": "awaited answers"}
    for name, what in kinds.items():
        if url := stack.outputs.get(f"{name}DeadLetterQueueUrl"):  # answers are awaited in asynchronous mode alone
            found.append(DeadLetters(what, url, _sender(stack.outputs[f"{name}QueueUrl"])))
    return found


def _sender(url: str) -> Callable[[str], None]:
    def send(body: str) -> None:
        attributes = {REDRIVEN: {"DataType": "String", "StringValue": "true"}}
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)

    return send


def invoke_again(body: str) -> None:
    """Give a function the command again that it failed on, with attempts of its own."""
    record = json.loads(body)
    aws.client("lambda").invoke(
        FunctionName=_function(record["requestContext"]["functionArn"]),
        InvocationType="Event",
        Payload=json.dumps(record["requestPayload"]).encode(),
    )


def redrive(
    queues: list[DeadLetters], console: Console, confirm: Callable[[str], bool], *, only_list: bool = False
) -> int:
    """Show what is stranded and bring it back where `confirm` says so; return how many messages were brought back."""
    total = found = 0
    for queue in queues:
        while messages := queue.receive():
            found += len(messages)
            try:
                _show(queue, messages, console)
                wanted = not only_list and confirm(f"Bring back {counted(len(messages), 'message')}?")
            except BaseException:
                queue.release(messages)
                raise
            if not wanted:
                queue.release(messages)
                break
            queue.redrive(messages)
            total += len(messages)
            console.print(f"[green]✓[/] brought back {counted(len(messages), 'message')} of {queue.name}")
            if len(messages) < _AT_ONCE:  # those were all: what comes now has failed again
                break
    if not found:
        console.print("[green]✓[/] the dead-letter queues are empty")
    return total


def _show(queue: DeadLetters, messages: list[Stranded], console: Console) -> None:
    by_reason: dict[str, list[Stranded]] = defaultdict(list)
    for message in messages:
        by_reason[message.reason].append(message)
    rest = f"the first {len(messages)} of about {queue.size()} messages" if len(messages) == _AT_ONCE else ""
    console.print(f"{rest or counted(len(messages), 'message')} of {queue.name}:")
    for reason, failed in by_reason.items():
        console.print(f"  {len(failed)} failed: {escape(reason)}", soft_wrap=True)
        for message in failed[:_SHOWN]:
            console.print(f"    {escape(message.subject)}", soft_wrap=True)
        if len(failed) > _SHOWN:
            console.print(f"    and {len(failed) - _SHOWN} more")
