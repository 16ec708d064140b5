"""What should be in service: the same for whichever order candidates come in."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropspot.desired import placed_among, want
from dropspot.endpoint import DESIRED, Deployment, champions_before, wanted_in
from dropspot.runs import Run
from dropspot.testing import MemoryStore


def deployment(number: int, began: int, requested: int | None = None) -> Deployment:
    requested_at = "" if requested is None else f"2026-01-01T00:00:{requested:02}Z"
    return Deployment(Run("dropspot", f"pets-{number:010x}"), "pets", f"2026-01-01T00:00:{began:02}Z", requested_at)


@st.composite
def candidates(draw: st.DrawFn) -> list[Deployment]:
    began = draw(st.lists(st.integers(0, 20), min_size=1, max_size=15))
    runs = [deployment(number, at) for number, at in enumerate(began)]
    back = draw(st.lists(st.tuples(st.sampled_from(range(len(runs))), st.integers(0, 20)), max_size=3))
    return [*runs, *(deployment(number, began[number], at) for number, at in back)]


@given(candidates(), st.data())
def test_the_order_of_arrival_changes_nothing(found: list[Deployment], data: st.DataObject) -> None:
    def arriving(order: list[Deployment]) -> tuple[Deployment, ...]:
        placed: tuple[Deployment, ...] = ()
        for candidate in order:
            placed = placed_among(placed, candidate)
        return placed

    again = data.draw(st.permutations([*found, *data.draw(st.lists(st.sampled_from(found), max_size=5))]))
    placed = arriving(found)
    assert arriving(again) == placed
    assert placed[0] == max(found, key=lambda candidate: candidate.order)
    assert all(not candidate.requested_at for candidate in placed[:-1])


def test_what_is_wanted_survives_being_written_down() -> None:
    store = MemoryStore()
    for candidate in (deployment(1, 1), deployment(3, 3), deployment(2, 2)):
        want(store, candidate, "", "passed the gate")
    document = store.json(DESIRED)
    assert document["run_id"] == "pets-0000000003"
    assert wanted_in("dropspot", document) == (deployment(3, 3), deployment(2, 2), deployment(1, 1))


def test_a_candidate_that_comes_again_writes_nothing() -> None:
    store = MemoryStore()
    want(store, deployment(1, 1), "", "passed the gate")
    version = store.read(DESIRED).version_id
    assert want(store, deployment(1, 1), "", "approved") is None
    assert store.read(DESIRED).version_id == version


def test_a_run_that_began_before_a_rollback_was_requested_has_had_its_turn() -> None:
    for order in permutations([deployment(1, 1), deployment(2, 2), deployment(1, 1, 5)]):
        store = MemoryStore()
        objections = [want(store, candidate, "", "") for candidate in order]
        assert wanted_in("dropspot", store.json(DESIRED)) == (deployment(1, 1, 5),)
        assert objections[order.index(deployment(1, 1, 5))] is None
    late = want(store, deployment(3, 3), "", "")
    assert late is not None
    assert late.message == "not deployed: pets-0000000001 is wanted in service, a rollback to it was requested later"


def test_a_run_that_began_after_a_rollback_wins_again() -> None:
    store = MemoryStore()
    want(store, deployment(1, 1, 5), "", "")
    assert want(store, deployment(4, 6), "", "") is None
    assert wanted_in("dropspot", store.json(DESIRED))[0] == deployment(4, 6)


def test_another_data_set_is_not_served() -> None:
    store = MemoryStore()
    objection = want(store, deployment(1, 1), "blood", "")
    assert objection is not None
    assert not objection.is_served
    assert store.head(DESIRED) is None


@pytest.mark.parametrize(
    ("champion", "successor", "before"),
    [
        (None, "a", []),
        ({"run_id": "a"}, "b", ["a"]),
        ({"run_id": "b", "before": ["a"]}, "c", ["b", "a"]),
        ({"run_id": "c", "before": ["b", "a"]}, "b", ["a"]),  # back by one
        ({"run_id": "c", "before": ["b", "a"]}, "a", []),  # back by two
        ({"run_id": "a", "before": []}, "c", ["a"]),  # and forward again
    ],
)
def test_who_goes_back_leaves_behind_what_came_after(
    champion: dict[str, object] | None, successor: str, before: list[str]
) -> None:
    assert champions_before(champion, Run("dropspot", successor)) == before
