"""How one model replaces another: the traffic's steps, what is watched meanwhile, and which settings can't be.

The rules are those that SageMaker documents for BlueGreenUpdatePolicy, TrafficRoutingConfig and CapacitySize. They are
checked before anything is asked of it.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dropspot.errors import InvalidInputError
from dropspot.ports import Request
from dropspot.runs import Run

ALL_AT_ONCE, CANARY, LINEAR = "all-at-once", "canary", "linear"
PERCENT, INSTANCES = "percent", "instances"
_ROUTING = {ALL_AT_ONCE: "ALL_AT_ONCE", CANARY: "CANARY", LINEAR: "LINEAR"}
_STEP_FIELD = {CANARY: "CanarySize", LINEAR: "LinearStepSize"}
_CAPACITY = {PERCENT: "CAPACITY_PERCENT", INSTANCES: "INSTANCE_COUNT"}
_SMALLEST = {CANARY: 0, LINEAR: 10}  # percent of the new fleet that a step takes, at least
_LARGEST = 50

# Instances with disks of their own, whose encryption is theirs: a config that names a key for them is refused. EC2
# marks them with a d behind the generation (c5d, m6id), but for families that always have such disks (i4i, g5, trn1).
_OWN_DISKS = re.compile(
    r"ml\.(?:[a-z]+[0-9]+[a-z]*d[a-z]*|(?:i|im|is|d|trn)[0-9][a-z]*|dl1|gr?[5-9](?!g)[a-z]*|p[5-9][a-z0-9-]*)\."
)


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The parameters of a replacement; `step` counts percent of the new fleet or instances, as `step_unit` says.

    `error_percent` is the share of answers with a 5xx status, `latency_milliseconds` the mean time of an answer, above
    which, within a minute, the replacement is taken back.
    """

    strategy: str
    step: int
    step_unit: str
    wait_seconds: int
    termination_wait_seconds: int
    timeout_seconds: int
    error_percent: float
    latency_milliseconds: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any], instances: int) -> "Guardrails":
        """Return the guardrails that the stack's parameters state; InvalidInputError says which can't be."""
        guardrails = cls(**document)
        if objection := guardrails.objection(instances):
            raise InvalidInputError(f"the stack's parameters can't be: {objection}")
        return guardrails

    def objection(self, instances: int) -> str | None:
        """Return why an endpoint of so many instances can't be updated like this, None where it can."""
        return next(self._objections(instances), None)

    def _objections(self, instances: int) -> Iterator[str]:
        if self.strategy not in _ROUTING:
            yield f"DeploymentStrategy {self.strategy!r} is none of {', '.join(_ROUTING)}"
        if self.step_unit not in _CAPACITY:
            yield f"TrafficStepUnit {self.step_unit!r} is none of {', '.join(_CAPACITY)}"
        if self.strategy != ALL_AT_ONCE:
            yield from self._step_objections(instances)
        yield from _outside("TrafficStepWaitSeconds", self.wait_seconds, 0, 3600)
        yield from _outside("TerminationWaitSeconds", self.termination_wait_seconds, 0, 3600)
        yield from _outside("DeploymentTimeoutSeconds", self.timeout_seconds, 600, 28_800)
        if (waits := self.waiting_seconds(instances)) >= self.timeout_seconds:
            yield f"a deployment's waits take {waits} s, and DeploymentTimeoutSeconds is {self.timeout_seconds}"

    def _step_objections(self, instances: int) -> Iterator[str]:
        if instances < 2:
            yield f"{self.strategy} needs two instances or more, and EndpointInstanceCount is {instances}"
        least, percent = _SMALLEST[self.strategy], self._percent(instances)
        what = f"a step of {self.step} {'%' if self.step_unit == PERCENT else 'instances'}"
        if self.step < 1 or not least <= percent <= _LARGEST:
            yield f"{what} is not {f'{least} to' if least else 'at most'} {_LARGEST} % of {instances} instances"
        if (moved := math.ceil(percent * instances / 100)) > instances / 2:
            yield f"{what} moves {moved} of {instances} instances, more than half"

    def _percent(self, instances: int) -> float:
        return self.step if self.step_unit == PERCENT else 100 * self.step / instances

    def waiting_seconds(self, instances: int) -> int:
        """Return how long a deployment waits in all: between the traffic's steps, and before the old fleet goes."""
        steps = {ALL_AT_ONCE: 1, CANARY: 2}.get(self.strategy) or math.ceil(100 / self._percent(instances))
        return (steps - 1) * self.wait_seconds + self.termination_wait_seconds

    def deployment_config(self, run: Run) -> Request:
        """Return UpdateEndpoint's DeploymentConfig for putting the run's model into service."""
        routing: Request = {
            "Type": _ROUTING[self.strategy],
            "WaitIntervalInSeconds": self.wait_seconds if self.strategy != ALL_AT_ONCE else 0,
        }
        if field := _STEP_FIELD.get(self.strategy):
            routing[field] = {"Type": _CAPACITY[self.step_unit], "Value": self.step}
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing,
                "TerminationWaitInSeconds": self.termination_wait_seconds,
                "MaximumExecutionTimeoutInSeconds": self.timeout_seconds,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarm_names(run)]},
        }

    def alarm_requests(self, run: Run, endpoint: str, variant: str) -> list[Request]:
        """Return PutMetricAlarm's arguments for the alarms that watch the run's model while it comes into service.

        They look at the new fleet alone, so the former model's errors never keep its successor out.
        """
        watched = {"EndpointName": endpoint, "VariantName": variant, "EndpointConfigName": run.endpoint_config}
        measures = (
            ("Invocation5XXErrors", self.error_percent / 100, 1, "answers with a 5xx status, as a share"),
            ("ModelLatency", self.latency_milliseconds * 1000, 2, "microseconds that an answer takes"),
        )
        return [
            {
                "AlarmName": name,
                "AlarmDescription": f"Takes the model of run {run.run_id} back: {meaning}.",
                "Namespace": "AWS/SageMaker",
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in watched.items()],
                "Statistic": "Average",
                "Period": 60,
                "EvaluationPeriods": minutes,
                "Threshold": threshold,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "notBreaching",
            }
            for name, (metric, threshold, minutes, meaning) in zip(alarm_names(run), measures, strict=True)
        ]


def alarm_names(run: Run) -> tuple[str, str]:
    """Return the names of the run's alarms: on its errors, and on its latency."""
    return run.name("errors"), run.name("latency")


def check_key(kms_key: str, instance_type: str) -> None:
    """Raise InvalidInputError where a key is named for instances that encrypt their disks themselves."""
    if kms_key and _OWN_DISKS.match(instance_type):
        raise InvalidInputError(
            f"the stack's parameters can't be: {instance_type} encrypts its own disks, EndpointKmsKeyArn must be empty"
        )


def _outside(parameter: str, value: int, least: int, most: int) -> Iterator[str]:
    if not least <= value <= most:
        yield f"{parameter} is {value}, outside {least} to {most}"
