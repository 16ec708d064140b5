"""The pipeline in a world without order: events come late, swapped, twice or not at all, and jobs end when they like.

The world is the one of `road`. What happens in it is decided by whoever drives it; what each run is like is its fate,
decided when it begins, so that the outcome can be told without asking the pipeline.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from road import Road

from dropspot import documents
from dropspot.answering import attributes_of
from dropspot.desired import deployment_failed, target_of
from dropspot.endpoint import CHAMPION, DESIRED, Deployment, wanted_in
from dropspot.errors import InvalidInputError
from dropspot.ports import JobKind
from dropspot.rollback import run_to_restore
from dropspot.runs import Run, RunStatus

ENDPOINT = "dropspot-endpoint"
STEPS = (
    ("prep", JobKind.PROCESSING),
    ("train", JobKind.TRAINING),
    ("eval", JobKind.TRANSFORM),
    ("evalchamp", JobKind.TRANSFORM),
)
NEXT = {"prep": "start_training", "train": "start_evaluation", "eval": "deploy_model", "evalchamp": "deploy_model"}
ANSWERING = {"InService", "Updating", "SystemUpdating", "RollingBack"}


@dataclass(frozen=True)
class Fate:
    """What a run is like: the step whose job fails, whether its model is good, starts, and answers as it should.

    With `other_pictures` held out than other runs, the champion is evaluated again; that job may fail.
    """

    fails_at: str = ""
    other_pictures: bool = False
    champion_fails: bool = False
    is_good: bool = True
    starts: bool = True
    answers: bool = True

    @property
    def serves(self) -> bool:
        return not self.fails_at and self.is_good and self.starts and self.answers


@dataclass
class Event:
    """An event that waits for its delivery; a request of the user is never lost, only late or doubled."""

    function: str
    event: dict[str, Any]
    is_request: bool = False


@dataclass
class World:
    """The road, the events under way, and what the user has asked for."""

    road: Road
    pool: list[Event] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)
    rollbacks: list[tuple[str, bool, str]] = field(default_factory=list)  # in the order of desired.json
    choices: dict[str, tuple[str, bool, str]] = field(default_factory=dict)  # the same, of those that named no run
    meant: dict[str, tuple[list[Deployment], str]] = field(default_factory=dict)  # by those, when they were requested
    started: Counter[str] = field(default_factory=Counter)
    past: list[Event] = field(default_factory=list)
    verdicts: dict[str, Any] = field(default_factory=dict)
    told: int = 0
    contents: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        start = self.road.world.jobs.start

        def counted(kind: JobKind, request: dict[str, Any]) -> bool:
            is_new = start(kind, request)
            self.started[request[f"{kind.value}Name"]] += is_new
            return is_new

        self.road.world.jobs.start = counted  # type: ignore[method-assign]

    # ---- what the user does ------------------------------------------------------------------------------------------

    def upload(self, dataset: str, fate: Fate) -> None:
        """Upload new content; its message is delivered once the upload has settled, and again whenever."""
        self.contents += 1
        key = f"datasets/{dataset}/images.tar.gz"
        self.road.store.put(key, f"content {self.contents}".encode())
        event = {"Records": [self.road.message(key)]}
        self.call("start_preprocessing", event, fate)
        self.past.append(Event("start_preprocessing", event))

    def request_retraining(self, dataset: str, fate: Fate) -> None:
        self.requests += 1
        event = {
            "command": "start_retraining",
            "request": {"dataset": dataset},
            "cause": f"retraining-{self.requests}",
            "requested_at": self.now,
            "fate": fate,
        }
        self.pool.append(Event("start_retraining", event, is_request=True))

    def request_rollback(self, run: Run | None) -> None:
        """Ask for the run to be in service again; without one, the pipeline decides which, and writes it down."""
        self.requests += 1
        event = {
            "command": "restore_model",
            "request": {"run_id": run.run_id} if run else {},
            "cause": f"rollback-{self.requests}",
            "requested_at": self.now,
        }
        self.pool.append(Event("restore_model", event, is_request=True))
        if run:
            self.rollbacks.append((self.now, True, run.run_id))
        else:
            self.meant[f"rollback-{self.requests} of {self.now}"] = self.meaning(self.now)

    def meaning(self, requested_at: str) -> tuple[list[Deployment], str]:
        """Return the candidates of that moment, as far as is known, and the run that a rollback would lead to."""
        wanted = wanted_in("dropspot", documents.read_or_none(self.road.store, DESIRED))
        run_id = ""
        with suppress(InvalidInputError):
            run_id = run_to_restore(self.road.store, "dropspot", requested_at=requested_at).run_id
        return [found for found in wanted if found.order[0] <= requested_at], run_id

    # ---- what SageMaker does -----------------------------------------------------------------------------------------

    def end_job(self, run: Run, step: str, kind: JobKind) -> None:
        """Let a running job come to the end that is its run's fate, and say so."""
        fate, name = self.fates[run.run_id], run.name(step)
        if fate.fails_at == step:
            self.road.world.jobs.end(kind, name, "Failed", reason=f"{step} broke")
        elif step == "prep":
            self.road.prepare(run, held_out=f"{run.run_id}.jpg" if fate.other_pictures else "a.jpg")
        elif step == "train":
            self.road.train(run)
        elif step == "evalchamp":
            self.road.answer(run, "champion-raw")
            self.road.world.jobs.end(kind, name, "Failed" if fate.champion_fails else "Completed", reason="it broke")
        else:
            self.road.evaluate(run, good=fate.is_good)
        function = "record_failure" if fate.fails_at == step else NEXT[step]
        self.pool.append(Event(function, {"command": function, "job": name, "cause": "state-change"}))

    def end_change(self, failure: str) -> None:
        """Let the endpoint's change come to its end: the new model starts, or `failure` happens."""
        hosting = self.road.world.hosting
        before = hosting.endpoints[ENDPOINT]
        wanted = hosting.pending[ENDPOINT]
        run = Run.from_name("dropspot", wanted)
        if self.fates[run.run_id].starts:
            self._serve(run)
        elif before.status == "Creating":
            hosting.settle(ENDPOINT, "Failed", config=wanted, reason="it doesn't start")
        elif failure == "rolled back":
            hosting.settle(ENDPOINT, "InService", config=before.config, reason="it doesn't start")
        else:
            hosting.settle(ENDPOINT, failure, config=before.config)
        self.reconcile_is_due()

    def _serve(self, run: Run) -> None:
        self.road.world.hosting.settle(ENDPOINT)
        variant = self.road.world.hosting.endpoints[ENDPOINT].variant
        rows: Callable[[bytes], list[list[float]]] = lambda image: self.road.recorded(run)  # noqa: E731
        nonsense: Callable[[bytes], list[list[float]]] = lambda image: [[0, 0.99, 0.8, 0.8, 0.9, 0.9]]  # noqa: E731
        answer = rows if self.fates[run.run_id].answers else nonsense
        self.road.world.inference.serve(ENDPOINT, variant, answer, attributes_of(run))

    def reconcile_is_due(self) -> None:
        self.pool.append(Event("reconcile_endpoint", {"command": "reconcile_endpoint", "cause": "state-change"}))

    # ---- delivery ----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> str:
        return self.road.world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def deliver(self, event: Event) -> None:
        """Deliver an event, which may be heard again at any time."""
        self.past.append(event)
        self.call(event.function, event.event, event.event.get("fate"))

    def call(self, function: str, event: dict[str, Any], fate: Fate | None = None) -> None:
        """Run a function, give runs that it began their fate, and take up what it put on the bus."""
        self.road.call(function, {name: value for name, value in event.items() if name != "fate"})
        for run in self.road.runs:
            self.fates.setdefault(run.run_id, fate or Fate())
        events = self.road.world.bus.events
        for put in events[self.told :]:
            if put.detail_type == "Step Due":
                command = put.detail["command"]
                self.pool.append(Event(command, {**put.detail, "cause": put.event_id}))
            elif put.detail_type == "Endpoint Desired":
                self.reconcile_is_due()
        self.told = len(events)
        if function == "reconcile_endpoint":
            self.check_intake()
        if function == "restore_model" and not event["request"]:
            self.take_up_the_choice(event)
        for key in self.road.store.keys("runs/"):
            if key.endswith("/verdict.json"):
                verdict = self.road.store.json(key)
                assert self.verdicts.setdefault(key, verdict) == verdict  # said once and for all

    def take_up_the_choice(self, event: dict[str, Any]) -> None:
        """Note which run a rollback that names none leads to, where there is one: the same however often it comes."""
        request = f"{event['cause']} of {event['requested_at']}"
        written = [self.road.store.json(key) for key in self.road.store.keys("endpoint/rollbacks/")]
        for choice in (choice for choice in written if choice["request"] == request):
            chosen = (event["requested_at"], True, choice["run_id"])
            wanted, meant = self.meant[request]
            if wanted == self.meaning(event["requested_at"])[0]:  # no candidate of then has come to light since
                assert choice["run_id"] == meant or not meant
            assert self.choices.setdefault(request, chosen) == chosen

    def check_intake(self) -> None:
        """Images come in exactly while what answers is the champion or becomes it, from the first champion on."""
        endpoint = self.road.world.hosting.endpoints.get(ENDPOINT)
        champion = documents.read_or_none(self.road.store, CHAMPION)
        answers = endpoint is not None and endpoint.status in ANSWERING and champion is not None
        if answers and endpoint and champion:
            present = Deployment.from_document("dropspot", champion)
            wanted = wanted_in("dropspot", documents.read_or_none(self.road.store, DESIRED))
            target = target_of(wanted, present, partial(deployment_failed, self.road.store))
            answers = endpoint.config in {good.run.endpoint_config for good in (present, target) if good}
        assert self.road.world.intake.is_open("mapping") == answers

    # ---- rest --------------------------------------------------------------------------------------------------------

    def running_jobs(self) -> list[tuple[Run, str, JobKind]]:
        jobs = self.road.world.jobs
        found = [(run, step, kind) for run in self.road.runs for step, kind in STEPS]
        return [
            (run, step, kind)
            for run, step, kind in found
            if run.name(step) in jobs.requests and jobs.describe(kind, run.name(step)).status == "InProgress"
        ]

    def is_changing(self) -> bool:
        endpoint = self.road.world.hosting.endpoints.get(ENDPOINT)
        return endpoint is not None and endpoint.status in {"Creating", "Updating"}

    def status(self, run: Run) -> str:
        return RunStatus.of(set(self.road.store.children(run.key("")))).state

    def calm(self) -> None:
        """Let everything that is under way come to its end in order, what was lost included."""
        self.call("resume_runs", {"command": "resume_runs", "cause": "schedule"})
        while self.pool or self.running_jobs() or self.is_changing():
            self.road.world.clock.advance(60)
            due, self.pool = self.pool, []
            for event in due:
                self.deliver(event)
            for run, step, kind in self.running_jobs():
                self.end_job(run, step, kind)
            if self.is_changing():
                self.end_change("rolled back")

    def settle(self) -> None:
        """Lose every event that is under way, but the user's requests; what remains are the two loops."""
        requests = [event for event in self.pool if event.is_request]
        for event in requests:
            self.deliver(event)
        self.pool.clear()
        quiet, before = 0, None
        while quiet < 3:
            self.road.world.clock.advance(60)
            for run, step, kind in self.running_jobs():
                self.end_job(run, step, kind)
            self.pool.clear()
            self.call("resume_runs", {"command": "resume_runs", "cause": "schedule"})
            due, self.pool = self.pool, []
            for event in due:
                self.deliver(event)
            if self.is_changing():
                self.end_change("rolled back")
            self.pool.clear()
            self.call("reconcile_endpoint", {"command": "reconcile_endpoint", "cause": "schedule"})
            now = (self.told, self.road.world.hosting.endpoints.copy(), set(self.road.store.keys()))
            quiet, before = (quiet + 1 if now == before else 0), now

    def expected_champion(self) -> str | None:
        """Return the id of the run that is asked for last, of those that serve; read from the fates alone."""
        identities = [self.road.store.json(run.key("run.json")) for run in self.road.runs]
        asked = [
            (identity["created_at"], False, identity["run_id"])
            for identity in identities
            if identity["dataset"] == self.served() and self.fates[identity["run_id"]].serves
        ]
        return max([*asked, *self.rollbacks, *self.choices.values()])[2] if asked else None

    def served(self) -> str | None:
        """Return the data set that the stack serves."""
        if dataset := self.road.changes.get("served_dataset"):
            return str(dataset)
        wanted = self.road.store.head("endpoint/desired.json") and self.road.store.json("endpoint/desired.json")
        return wanted["dataset"] if wanted else None
