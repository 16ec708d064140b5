"""What to do about the endpoint, decided from what is and what should be. Nothing here remembers anything."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from dropspot.endpoint import Deployment
from dropspot.ports import Endpoint

_IN_BETWEEN = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
_ANSWERING = {"InService", "Updating", "SystemUpdating", "RollingBack"}


class Action(Enum):
    """The one thing that a pass does to the endpoint."""

    WAIT = "wait"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PROMOTE = "promote"  # it is in service as it should be: write that down
    GIVE_UP = "give up"  # it came back with the old config: the target's deployment has failed


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a pass looks at. `asked_at` tells when the endpoint was last asked to serve a run, None for never."""

    endpoint: Endpoint | None
    desired: Deployment | None
    champion: Deployment | None
    has_failed: Callable[[Deployment], bool]
    asked_at: Callable[[Deployment], datetime | None]

    @property
    def target(self) -> Deployment | None:
        """What should be in service: the desired run, or the champion where the desired one has failed."""
        if self.desired and not self.has_failed(self.desired):
            return self.desired
        return self.champion


def decide(situation: Situation) -> Action:
    """Return what to do now."""
    endpoint, target = situation.endpoint, situation.target
    if endpoint is None:
        return Action.CREATE if target else Action.WAIT
    if endpoint.status in _IN_BETWEEN:
        return Action.WAIT
    if endpoint.status != "InService":
        return Action.DELETE
    if target is None:
        return Action.WAIT
    if endpoint.config == target.run.endpoint_config:
        return Action.PROMOTE
    asked = situation.asked_at(target)
    return Action.GIVE_UP if asked and target != situation.champion and endpoint.modified >= asked else Action.UPDATE


def takes_images(endpoint: Endpoint | None) -> bool:
    """Tell whether the image queue should be open: an endpoint that is being replaced still answers."""
    return endpoint is not None and endpoint.status in _ANSWERING


def superfluous(configs: list[str], needed: set[str], keep: int) -> list[str]:
    """Return the configs, given oldest first, that neither are needed nor belong to the newest `keep`."""
    candidates = [config for config in configs if config not in needed]
    return candidates[: max(0, len(candidates) - keep)]
