"""The endpoint's two documents: what should be in service, and what is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dropspot.runs import Run

DESIRED = "endpoint/desired.json"
CHAMPION = "endpoint/champion.json"

ENDPOINT_DESIRED = "Endpoint Desired"
MODEL_DEPLOYED = "Model Deployed"
MODEL_REFUSED = "Model Refused"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A run whose model is, or should be, in service; `created_at` is when the run began (ISO 8601)."""

    run: Run
    dataset: str
    created_at: str

    @classmethod
    def from_document(cls, app: str, document: Mapping[str, Any]) -> "Deployment":
        return cls(Run.from_id(app, document["run_id"]), document["dataset"], document["created_at"])

    @property
    def document(self) -> dict[str, Any]:
        return {
            "run_id": self.run.run_id,
            "dataset": self.dataset,
            "endpoint_config": self.run.endpoint_config,
            "created_at": self.created_at,
        }
