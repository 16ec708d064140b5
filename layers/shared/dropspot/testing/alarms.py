"""CloudWatch's alarms in memory."""

from collections.abc import Sequence

from dropspot.ports import Request
from dropspot.service_models import assert_valid_request


class MemoryAlarms:
    """CloudWatch's alarms, by name."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}

    def put(self, request: Request) -> None:
        assert_valid_request("cloudwatch", "PutMetricAlarm", request)
        self.requests[request["AlarmName"]] = request

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self.requests.pop(name, None)
