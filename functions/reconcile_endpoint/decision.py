"""What to do about the endpoint, decided from what is and what should be. Nothing here remembers anything."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from dropspot.desired import target_of
from dropspot.endpoint import Deployment
from dropspot.ports import Endpoint

_IN_BETWEEN = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}


class Action(Enum):
    """The one thing that a pass does to the endpoint."""

    WAIT = "wait"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"  # it is of the other inference mode, which no update changes: delete it, to make it again
    PROMOTE = "promote"  # it is in service as it should be: prove it, and write that down
    GIVE_UP = "give up"  # it came back with the old config: the target's deployment has failed


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a pass looks at; `wanted` are the candidates, what was asked for last first.

    `asked_at` tells when the endpoint was last asked for a deployment, None for never; `wants_asynchronous` which kind
    of endpoint the stack's parameters ask for.
    """

    endpoint: Endpoint | None
    wanted: tuple[Deployment, ...]
    champion: Deployment | None
    deployment_failed: Callable[[Deployment], bool]
    asked_at: Callable[[Deployment], datetime | None]
    wants_asynchronous: bool = False

    @property
    def target(self) -> Deployment | None:
        """What should be in service: the first candidate that hasn't failed, else the champion."""
        return target_of(self.wanted, self.champion, self.deployment_failed)

    def has_failed(self, candidate: Deployment) -> bool:
        """Tell whether a candidate's deployment has failed; the champion's never does, it is only tried again."""
        return not self.is_champion(candidate) and self.deployment_failed(candidate)

    def is_champion(self, candidate: Deployment) -> bool:
        return self.champion is not None and candidate.run == self.champion.run

    @property
    def is_settled(self) -> bool:
        """Whether the champion is in service, and should be."""
        endpoint, target = self.endpoint, self.target
        if endpoint is None or target is None or not self.is_champion(target):
            return False
        return (endpoint.status, endpoint.config) == ("InService", target.run.endpoint_config)

    def has_come_back_from(self, target: Deployment) -> bool:
        """Tell whether the endpoint, asked for the target, is back at what it served before.

        It isn't where what it serves was asked for later: then another candidate has taken the target's place.
        """
        endpoint, asked = self.endpoint, self.asked_at(target)
        if endpoint is None or asked is None or endpoint.modified < asked:
            return False
        serving = (found for found in self.wanted if found.run.endpoint_config == endpoint.config)
        return all((self.asked_at(found) or asked) <= asked for found in serving)

    @property
    def is_of_the_other_mode(self) -> bool:
        """Whether the endpoint answers in another way than images are asked about."""
        return self.endpoint is not None and self.endpoint.is_asynchronous != self.wants_asynchronous


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
        # Whatever answers there has failed, and nothing came before it.
        return Action.DELETE if situation.wanted else Action.WAIT
    return _towards(target, endpoint, situation)


def _towards(target: Deployment, endpoint: Endpoint, situation: Situation) -> Action:
    """Return what to do now that the endpoint is in service, with whatever it serves."""
    if situation.is_of_the_other_mode:
        return Action.REPLACE
    if endpoint.config == target.run.endpoint_config:
        return Action.PROMOTE
    has_come_back = situation.has_come_back_from(target) and not situation.is_champion(target)
    return Action.GIVE_UP if has_come_back else Action.UPDATE


def takes_images(situation: Situation) -> bool:
    """Tell whether the image queue should be open: from the first champion on, while what should serve answers.

    That is the champion, or the one that should take its place and has not failed. An endpoint that is being replaced
    still answers, with the config that it had. A model that was called off while it came into service is nobody to
    ask: it hasn't proven itself and won't. Nor can an endpoint of the other inference mode be asked.
    """
    endpoint = situation.endpoint
    if endpoint is None or situation.champion is None or not endpoint.answers:
        return False
    if situation.is_of_the_other_mode:
        return False
    good = {situation.champion, situation.target}
    return endpoint.config in {found.run.endpoint_config for found in good if found}


def superfluous(configs: list[str], needed: set[str]) -> list[str]:
    """Return the configs that nobody needs any more."""
    return [config for config in configs if config not in needed]
