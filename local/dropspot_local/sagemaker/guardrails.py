"""UpdateEndpoint's DeploymentConfig: how traffic moves from the old fleet to the new one, and what sends it back.

The rules are those of the API Reference's pages on BlueGreenUpdatePolicy, TrafficRoutingConfig, RollingUpdatePolicy and
CapacitySize. Where a page gives a range and no message, the message is this module's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from dropspot_local.sagemaker.errors import ServiceError, validation
from dropspot_local.sagemaker.state import Record


@dataclass(frozen=True, slots=True)
class Shift:
    """One step: so many instances of the new fleet get traffic, then the deployment bakes."""

    instances: int
    total: int
    wait_seconds: int
    wait_name: str  # the parameter that the seconds come from

    @property
    def share(self) -> float:
        """Of all requests, those that the new fleet answers."""
        return self.instances / self.total


@dataclass(frozen=True, slots=True)
class Policy:
    """A deployment: its shifts in order, how traffic goes back, and what is watched meanwhile."""

    shifts: tuple[Shift, ...]
    back: tuple[float, ...] = (0.0,)  # the new fleet's shares while it is rolled back
    timeout_seconds: float = math.inf
    alarms: tuple[str, ...] = ()
    kind: str = "full"  # what the capacity of a shift before the last one is called


def policy(deployment: Record, instances: int) -> Policy:
    """The deployment that a DeploymentConfig asks for, of so many instances; ServiceError when it can't be."""
    blue_green, rolling = deployment.get("BlueGreenUpdatePolicy"), deployment.get("RollingUpdatePolicy")
    alarms = tuple(alarm["AlarmName"] for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", []))
    if blue_green and rolling:
        raise validation("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be used in a DeploymentConfig.")
    if rolling:
        return _rolling(rolling, instances, alarms)
    return _blue_green(blue_green or {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"}}, instances, alarms)


def _blue_green(wanted: Record, instances: int, alarms: tuple[str, ...]) -> Policy:
    routing, termination = wanted["TrafficRoutingConfiguration"], wanted.get("TerminationWaitInSeconds", 0)
    kind, wait = routing["Type"], routing.get("WaitIntervalInSeconds", 0)
    needed = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind)
    for size in ("CanarySize", "LinearStepSize"):
        if (size in routing) != (size == needed):
            raise validation(
                f"TrafficRoutingConfiguration of type {kind} {'needs' if size == needed else 'has no'} {size}."
            )
    counts = [instances]
    if kind == "CANARY":
        counts = [_batch("CanarySize", routing["CanarySize"], instances, at_least=0), instances]
    elif kind == "LINEAR":
        counts = _steps(_batch("LinearStepSize", routing["LinearStepSize"], instances, at_least=10), instances)
    shifts = [Shift(count, instances, wait, "WaitIntervalInSeconds") for count in counts[:-1]]
    shifts.append(Shift(instances, instances, termination, "TerminationWaitInSeconds"))
    timeout = _timeout(wanted, wait * (len(shifts) - 1) + termination)
    return Policy(tuple(shifts), (0.0,), timeout, alarms, "canary" if kind == "CANARY" else "partial")


def _rolling(wanted: Record, instances: int, alarms: tuple[str, ...]) -> Policy:
    wait = wanted["WaitIntervalInSeconds"]
    counts = _steps(_batch("MaximumBatchSize", wanted["MaximumBatchSize"], instances, at_least=5), instances)
    back: tuple[float, ...] = (0.0,)
    if size := wanted.get("RollbackMaximumBatchSize"):
        batch = min(instances, _instances(size, instances))
        back = tuple(1 - count / instances for count in _steps(batch, instances))
    shifts = tuple(Shift(count, instances, wait, "WaitIntervalInSeconds") for count in counts)
    return Policy(shifts, back, _timeout(wanted, wait * len(shifts)), alarms, "partial")


def _batch(name: str, size: Record, instances: int, *, at_least: int) -> int:
    """A batch of at least one instance, of at least so many per cent, and of at most half the fleet."""
    batch = _instances(size, instances)
    percent = size["Value"] if size["Type"] == "CAPACITY_PERCENT" else 100 * batch / instances
    if batch > instances / 2 or percent > 50 or percent < at_least:
        limits = f"between {at_least}% and 50%" if at_least else "less than or equal to 50%"
        raise validation(
            f"{name} of {batch} instance(s) is not possible: the value must be {limits} of the variant's total "
            f"instance count, which is {instances}."
        )
    return batch


def _instances(size: Record, instances: int) -> int:
    percent = size["Type"] == "CAPACITY_PERCENT"
    return max(1, math.ceil(instances * size["Value"] / 100)) if percent else int(size["Value"])


def _steps(batch: int, instances: int) -> list[int]:
    return [*range(batch, instances, batch), instances]


def _timeout(wanted: Record, waiting: int) -> float:
    timeout = float(wanted.get("MaximumExecutionTimeoutInSeconds", math.inf))
    if timeout <= waiting:
        raise validation(
            f"MaximumExecutionTimeoutInSeconds of {timeout:g} must be larger than the total waiting time of {waiting} "
            "seconds."
        )
    return timeout


def check_variants(deployment: Record, config: Record, current: list[Record]) -> None:
    """Refuse what the guide's page on exclusions leaves out: variants of other names, and rolling with several."""
    new, old = (
        {variant["VariantName"] for variant in variants} for variants in (config["ProductionVariants"], current)
    )
    if new != old:
        raise validation(
            "For a deployment with a DeploymentConfig, the new endpoint configuration must have the same variant names "
            f"as the old one: {', '.join(sorted(new))} against {', '.join(sorted(old))}."
        )
    if "RollingUpdatePolicy" in deployment and len(new) > 1:
        raise validation("RollingUpdatePolicy is not supported for endpoints with several production variants.")


def retained(config: Record, request: Record, current: list[Record]) -> Record:
    """The configuration with the weights and instance counts that RetainAllVariantProperties keeps."""
    excluded = {item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])}
    if not request.get("RetainAllVariantProperties"):
        if excluded:
            raise validation("ExcludeRetainedVariantProperties is only possible with RetainAllVariantProperties.")
        return config
    by_name = {variant["VariantName"]: variant for variant in current}
    kept = {"DesiredWeight": "InitialVariantWeight", "DesiredInstanceCount": "InitialInstanceCount"}

    def merged(variant: Record) -> Record:
        present = by_name.get(variant["VariantName"], {})
        return variant | {
            field: present[name] for name, field in kept.items() if name in present and name not in excluded
        }

    return config | {"ProductionVariants": [merged(variant) for variant in config["ProductionVariants"]]}


class Alarms:
    """The alarms that guard a deployment."""

    def __init__(self, cloudwatch: Any, names: tuple[str, ...]) -> None:
        self._cloudwatch, self._names = cloudwatch, names

    def check_known(self) -> None:
        """Refuse names that no alarm has: nothing would be watched."""
        known = self._described()
        if missing := [name for name in self._names if name not in known]:
            raise ServiceError("ValidationException", f"Could not find CloudWatch alarm(s) {', '.join(missing)}.")

    def tripped(self) -> list[str]:
        """Those that are in ALARM now."""
        return [name for name, state in self._described().items() if state == "ALARM"]

    def _described(self) -> dict[str, str]:
        if not self._names:
            return {}
        answer = self._cloudwatch.describe_alarms(
            AlarmNames=list(self._names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
