"""The default event bus on EventBridge."""

import json
from collections.abc import Iterator, Mapping, Sequence

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import UNANSWERED, translated
from dropspot.errors import TransientError


class EventBridgeBus:
    """The default event bus."""

    def __init__(self, source: str) -> None:
        self._source = source

    def put(self, detail_type: str, detail: Mapping[str, object]) -> str:
        entry = self._entry(detail_type, detail)
        answer = client("events").put_events(Entries=[entry])["Entries"][0]
        if "EventId" not in answer:
            raise TransientError(f"put {detail_type}: {answer.get('ErrorCode')}: {answer.get('ErrorMessage')}")
        return str(answer["EventId"])

    def put_all(self, events: Sequence[tuple[str, Mapping[str, object]]]) -> list[bool]:
        taken: list[bool] = []
        for call in _calls([self._entry(*event) for event in events]):
            try:
                answers = client("events").put_events(Entries=call)["Entries"]
            except ClientError as error:
                if not isinstance(translated(error, "put events"), TransientError):
                    raise
                answers = [{}] * len(call)
            except UNANSWERED:
                answers = [{}] * len(call)
            taken += ["EventId" in answer for answer in answers]
        return taken

    def _entry(self, detail_type: str, detail: Mapping[str, object]) -> dict[str, str]:
        return {"Source": self._source, "DetailType": detail_type, "Detail": json.dumps(detail)}


def _calls(entries: Sequence[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Yield the entries in portions that PutEvents takes: ten of them, and 256 KiB (json.dumps makes ASCII)."""
    call: list[dict[str, str]] = []
    size = 0
    for entry in entries:
        own = sum(map(len, entry.values())) + 16
        if call and (len(call) == 10 or size + own > 256 * 1024):
            yield call
            call, size = [], 0
        call.append(entry)
        size += own
    if call:
        yield call
