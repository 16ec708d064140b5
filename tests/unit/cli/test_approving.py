"""`dropspot approve` and `dropspot reject`."""

from dataclasses import dataclass

import pytest
import run_documents as road

from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import APPROVED, PENDING, REJECTED
from dropspot.runs import Run
from dropspot.testing import MemoryRegistry, MemoryStore
from dropspot_cli.approving import decide

OTHER = Run("dropspot", "pets-bbbbbbbbbb")


@dataclass(frozen=True)
class FakeStack:
    """A stack as far as deciding looks at it."""

    store: MemoryStore
    app: str = "dropspot"


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def waiting(store: MemoryStore, run: Run, registry: MemoryRegistry) -> str:
    arn = registry.register({"ModelPackageGroupName": "dropspot", "ModelApprovalStatus": PENDING})
    road.begun(store, run)
    road.awaiting(store, run, arn)
    return arn


def test_the_decision_goes_into_the_registry_with_its_note(
    store: MemoryStore, run: Run, registry: MemoryRegistry
) -> None:
    arn = waiting(store, run, registry)
    assert decide(FakeStack(store), run.run_id, REJECTED, "blurred", registry) == run.run_id  # type: ignore[arg-type]
    package = registry.package(arn)
    assert (package.approval, package.note) == (REJECTED, "blurred")
    assert decide(FakeStack(store), run.run_id, APPROVED, "", registry) == run.run_id  # type: ignore[arg-type]
    assert registry.package(arn).approval == APPROVED


def test_without_a_name_it_is_the_one_that_waits(store: MemoryStore, run: Run, registry: MemoryRegistry) -> None:
    with pytest.raises(InvalidInputError, match="No model waits for approval: `dropspot runs`"):
        decide(FakeStack(store), "", APPROVED, "", registry)  # type: ignore[arg-type]
    waiting(store, run, registry)
    assert decide(FakeStack(store), "", APPROVED, "", registry) == run.run_id  # type: ignore[arg-type]
    waiting(store, OTHER, registry)
    with pytest.raises(InvalidInputError, match="2 models wait for approval: name one of"):
        decide(FakeStack(store), "", APPROVED, "", registry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (APPROVED, APPROVED, "is approved already"),
        (REJECTED, REJECTED, "is rejected already"),
        (APPROVED, REJECTED, "was approved: to take it out of service"),
    ],
)
def test_what_was_decided_is_said(
    store: MemoryStore, run: Run, registry: MemoryRegistry, first: str, second: str, said: str
) -> None:
    waiting(store, run, registry)
    decide(FakeStack(store), run.run_id, first, "", registry)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=said):
        decide(FakeStack(store), run.run_id, second, "", registry)  # type: ignore[arg-type]


def test_a_run_without_a_model_to_decide_on_says_why(store: MemoryStore, run: Run, registry: MemoryRegistry) -> None:
    with pytest.raises(NotFoundError, match="There is no run"):
        decide(FakeStack(store), run.run_id, APPROVED, "", registry)  # type: ignore[arg-type]
    road.begun(store, run)
    with pytest.raises(InvalidInputError, match="it has not passed the gate yet"):
        decide(FakeStack(store), run.run_id, APPROVED, "", registry)  # type: ignore[arg-type]
    road.judged(store, run, "refused", "mAP@0.5 of 0.2 is below the minimum of 0.5")
    with pytest.raises(InvalidInputError, match=r"nothing to decide on .*: mAP@0\.5 of 0\.2 is below"):
        decide(FakeStack(store), run.run_id, APPROVED, "", registry)  # type: ignore[arg-type]
