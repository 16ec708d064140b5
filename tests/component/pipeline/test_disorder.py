"""However events come, late, swapped, twice or never: each job once, one failure a run, and always one champion."""

import os
from collections import Counter

from disorder import ENDPOINT, Fate, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from road import Road

FATES = st.one_of(
    st.just(Fate()),
    st.just(Fate()),
    st.builds(
        Fate,
        fails_at=st.sampled_from(["", "", "", "prep", "train", "eval"]),
        other_pictures=st.booleans(),
        champion_fails=st.booleans(),
        is_good=st.booleans(),
        starts=st.booleans(),
        answers=st.booleans(),
    ),
)
DATASETS = st.sampled_from(["pets", "pets", "blood"])
FAILURES = st.sampled_from(["rolled back", "rolled back", "Failed", "UpdateRollbackFailed"])


class Disorder(RuleBasedStateMachine):
    """All that can happen, in whichever order."""

    @initialize(served=st.sampled_from(["pets", "pets", "blood", ""]))
    def begin(self, served: str) -> None:
        self.world = World(Road(served_dataset=served))

    @rule(dataset=DATASETS, fate=FATES)
    def upload(self, dataset: str, fate: Fate) -> None:
        # Data that changes while it is prepared supersedes the run on purpose: that has tests of its own.
        if all(self.world.status(run) != "running" or self.is_past_preparation(run) for run in self.of(dataset)):
            self.world.upload(dataset, fate)

    def of(self, dataset: str) -> list:
        store = self.world.road.store
        return [run for run in self.world.road.runs if store.json(run.key("run.json"))["dataset"] == dataset]

    def is_past_preparation(self, run) -> bool:
        return self.world.road.store.head(run.key("train.json")) is not None

    @precondition(lambda self: self.world.contents)
    @rule(data=st.data(), fate=FATES)
    def request_retraining(self, data: st.DataObject, fate: Fate) -> None:
        datasets = sorted({self.world.road.store.json(r.key("run.json"))["dataset"] for r in self.world.road.runs})
        self.world.request_retraining(data.draw(st.sampled_from(datasets)), fate)

    @precondition(lambda self: self.world.road.store.head("endpoint/champion.json"))
    @rule(data=st.data())
    def request_rollback(self, data: st.DataObject) -> None:
        served = [run for run in self.world.road.runs if self.world.status(run) == "deployed"]
        self.world.request_rollback(data.draw(st.sampled_from(served)))

    @rule()
    def request_the_model_before(self) -> None:
        self.world.request_rollback(None)

    @precondition(lambda self: self.world.running_jobs())
    @rule(data=st.data())
    def end_job(self, data: st.DataObject) -> None:
        self.world.end_job(*data.draw(st.sampled_from(self.world.running_jobs())))

    @precondition(lambda self: self.world.is_changing())
    @rule(failure=FAILURES)
    def end_change(self, failure: str) -> None:
        self.world.end_change(failure)

    @precondition(lambda self: self.world.pool)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.world.pool))
        self.world.pool.remove(event)
        self.world.deliver(event)

    @precondition(lambda self: self.world.past)
    @rule(data=st.data())
    def echo(self, data: st.DataObject) -> None:
        self.world.deliver(data.draw(st.sampled_from(self.world.past)))

    @precondition(lambda self: any(not event.is_request for event in self.world.pool))
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        lost = data.draw(st.sampled_from([event for event in self.world.pool if not event.is_request]))
        self.world.pool.remove(lost)

    @rule(function=st.sampled_from(["reconcile_endpoint", "resume_runs"]))
    def come_by_schedule(self, function: str) -> None:
        self.world.call(function, {"command": function, "cause": "schedule"})

    @rule()
    def be_calm(self) -> None:
        self.world.calm()

    @rule(dataset=DATASETS, fate=FATES)
    def upload_on_a_calm_day(self, dataset: str, fate: Fate) -> None:
        self.world.calm()
        self.world.road.world.clock.advance(1)
        self.world.upload(dataset, fate)
        self.world.calm()

    @rule(seconds=st.sampled_from([0.4, 1, 60]))
    def let_time_pass(self, seconds: float) -> None:
        self.world.road.world.clock.advance(seconds)

    @invariant()
    def each_job_is_created_once(self) -> None:
        assert all(count <= 1 for count in self.world.started.values()) if hasattr(self, "world") else True

    @invariant()
    def no_run_fails_twice(self) -> None:
        if hasattr(self, "world"):
            failed = Counter(told["run_id"] for told in self.world.road.world.bus.of("Run Failed"))
            assert not failed or max(failed.values()) == 1

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world, store = self.world, self.world.road.store
        world.settle()
        states = {run.run_id: world.status(run) for run in world.road.runs}
        assert set(states.values()) <= {"failed", "judged", "deployed", "overtaken"}, states
        expected = world.expected_champion()
        champion = store.json("endpoint/champion.json")["run_id"] if store.head("endpoint/champion.json") else None
        assert champion == expected
        endpoint = world.road.world.hosting.endpoints.get(ENDPOINT)
        if champion is None:
            assert endpoint is None
        else:
            assert endpoint is not None
            assert (endpoint.status, endpoint.config) == ("InService", f"dropspot-{champion}-config")
            assert states[champion] == "deployed"
        assert all(states[run_id] == "failed" for run_id, fate in world.fates.items() if fate.fails_at)
        assert [run_id for run_id, state in states.items() if state == "failed" and world.fates[run_id].serves] == []
        assert store.keys("open-runs/") == []


# The same examples each time; DROPSPOT_DISORDER asks for others, and for so many.
EXAMPLES = int(os.environ.get("DROPSPOT_DISORDER", "0"))
TestDisorder = Disorder.TestCase
TestDisorder.settings = settings(
    max_examples=EXAMPLES or 60,
    stateful_step_count=40,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
