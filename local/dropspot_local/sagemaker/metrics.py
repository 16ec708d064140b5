"""Metrics read from a training job's output."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any


class MetricReader:
    """Keeps the last value of every metric, as FinalMetricDataList reports it."""

    def __init__(self, definitions: Iterable[Mapping[str, str]]) -> None:
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._last: dict[str, tuple[float, float]] = {}

    def read(self, line: str) -> None:
        """Look for every metric in one line of output."""
        for name, pattern in self._patterns:
            match = pattern.search(line)
            if match is None:
                continue
            try:
                value = float(match.group(1) if pattern.groups else match.group(0))
            except ValueError:
                continue  # a pattern that also matches something that is no number: the service drops it, too
            self._last[name] = (value, time.time())

    def final(self) -> list[dict[str, Any]]:
        """As DescribeTrainingJob's FinalMetricDataList."""
        return [{"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in self._last.items()]
