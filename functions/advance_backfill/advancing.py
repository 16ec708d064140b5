"""What a backfill does next, read from the documents that it has left so far. Nothing here remembers anything."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from backfill_jobs import harvest_request, look_request, sniff_request
from dropspot import documents, endpoint
from dropspot.backfills import (
    BACKFILL_DUE,
    BACKFILL_ENDED,
    BACKFILL_FAILED,
    HARVEST,
    LOOK,
    SNIFF,
    Backfill,
    BackfillRequest,
    Part,
)
from dropspot.errors import InvalidInputError
from dropspot.failures import notice, one_sentence
from dropspot.jobs import start_once
from dropspot.look_again import look_again
from dropspot.placing import Placed, Placer
from dropspot.ports import Job, JobKind
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.settings import Settings as BaseSettings
from listing import list_part, write_part
from publishing import lines, publish

FEW = 1000  # pictures that the image queue takes at any time, without a question


@dataclass(frozen=True, slots=True)
class Settings(BaseSettings):
    """What advance_backfill is told."""

    image_queue_url: str
    prep_image: str
    prep_instance_type: str
    evaluation_instance_type: str
    sagemaker_role_arn: str


@dataclass(frozen=True, slots=True)
class Advance:
    """One backfill on its way. `has_time` tells whether another piece of work can be begun."""

    backfill: Backfill
    request: BackfillRequest
    run: Run
    services: Services[Settings]
    has_time: Callable[[], bool]

    @classmethod
    def of(cls, backfill: Backfill, services: Services[Settings], has_time: Callable[[], bool]) -> "Advance":
        """Return the backfill with what was asked of it; raise NotFoundError where nothing was."""
        document = documents.read(services.store, backfill.key("backfill.json"))
        run = Run.from_id(backfill.app, document["run_id"])
        return cls(backfill, BackfillRequest.from_document(document), run, services, has_time)

    def go(self) -> list[str]:
        """Do what can be done now, until a job has to be waited for; return what was done, in words."""
        done = []
        try:
            while step := self._step():
                done.append(step)
                if not self.has_time():
                    self.services.bus.put(BACKFILL_DUE, {"job": self.backfill.name})
                    break
        except InvalidInputError as error:
            self._fail(str(error))
            done.append(f"failed: {error}")
        return done

    def _step(self) -> str | None:
        """Do the next thing and say it; None where there is nothing to do before an event comes."""
        store = self.services.store
        names = set(store.children(self.backfill.key("")))
        if names & {"ended.json", "failure.json"}:
            store.delete(self.backfill.open_marker)
            return None
        numbers = [int(name[:-1]) for name in names if name.endswith("/")]
        part = self.backfill.part(max(numbers, default=0))
        left = set(store.children(part.key("")))
        if "published.json" in left:
            return self._go_on_behind(part)
        steps = {"harvest": self._publish, "look": self._harvest, "sniff": self._look, "part": self._sniff}
        return next((do for name, do in steps.items() if f"{name}.json" in left), self._plan)(part)

    def _go_on_behind(self, part: Part) -> str:
        return self._end() if self._end_of(part) is None else self._plan(self.backfill.part(part.number + 1))

    def _end_of(self, part: Part) -> str | None:
        """Return the key behind which the next part begins, None where there is none: a void part is done again."""
        store = self.services.store
        plan, outcome = (documents.read(store, part.key(name)) for name in ("part.json", "published.json"))
        end: str | None = plan["after"] if outcome["void"] else plan["last"]
        return end

    def _plan(self, part: Part) -> str:
        after = self._end_of(self.backfill.part(part.number - 1)) if part.number else ""
        found = list_part(self.services.store, self.request, after or "")
        self._send(found.others)
        write_part(self.services.store, part, found)
        return f"listed part {part.number}"

    def _sniff(self, part: Part) -> str:
        plan = documents.read(self.services.store, part.key("part.json"))
        if not plan["images"]:
            return self._published(part, {})
        self._start(part, SNIFF, JobKind.PROCESSING, sniff_request(part, plan["bytes"], self.services.settings))
        return f"started {part.job(SNIFF)}"

    def _look(self, part: Part) -> str | None:
        job = self.services.jobs.describe(JobKind.PROCESSING, part.job(SNIFF))
        if job.has_failed:
            return self._do_again(part, job)
        if not _has_ended(job):
            return None
        report = documents.read(self.services.store, part.key("sniffed", "report.json"))
        self._hand_over(part.key("sniffed", "others.jsonl"))
        if not report["fitting"]:
            return self._published(part, {})
        request = look_request(part, self.run, self.request.instances, self.services.settings)
        self._start(part, LOOK, JobKind.TRANSFORM, request)
        return f"started {part.job(LOOK)}"

    def _do_again(self, part: Part, job: Job) -> str:
        """A job can't fetch an image that was deleted since it was listed: the part is listed anew, once."""
        store, before = self.services.store, self.backfill.part(part.number - 1)
        if part.number and documents.read(store, before.key("published.json"))["void"]:
            raise InvalidInputError(_reason(job))
        return self._published(part, {}, void=_reason(job))

    def _harvest(self, part: Part) -> str | None:
        """A Transform job that failed on a picture has looked at the others: what it left is harvested all the same."""
        store = self.services.store
        job = self.services.jobs.describe(JobKind.TRANSFORM, part.job(LOOK))
        if job.status not in {"Completed", "Failed", "Stopped"}:
            return None
        if next(store.objects(part.key("raw") + "/"), None) is None:
            report = documents.read(store, part.key("sniffed", "report.json"))
            if report["fitting"] > FEW:
                # No picture can be blamed for that: thousands of them would flood the queue for the fault of a job.
                raise InvalidInputError(f"{job.name} left nothing: {_reason(job)}")
            return self._published(part, {}, handed_over=self._hand_over(part.key("sniffed", "fitting.jsonl")))
        self._start(part, HARVEST, JobKind.PROCESSING, harvest_request(part, self.services.settings))
        return f"started {part.job(HARVEST)}"

    def _publish(self, part: Part) -> str | None:
        if not _has_ended(self._job(part, HARVEST, JobKind.PROCESSING)):
            return None
        store = self.services.store
        champion = (documents.read_or_none(store, endpoint.CHAMPION) or {}).get("run_id")
        placer = Placer(store, champion, self.request.anew, self.services.now)
        progress = publish(part, placer, self.services.bus, self._send, self.has_time)
        if progress is None:
            return None
        if not progress.is_complete:
            return f"published {progress.done} of {progress.files} files of part {part.number}"
        counts = dict(progress.counts)
        left = counts.pop(Placed.LEFT.value, 0) + self._hand_over(part.key("documents", "missing.jsonl"))
        return self._published(part, counts, handed_over=left)

    def _published(self, part: Part, counts: dict[str, int], *, handed_over: int = 0, void: str = "") -> str:
        """Write down that the part is done: how many documents became what, how many images went to the queue."""
        store, at = self.services.store, documents.timestamp(self.services.now())
        plan, sniffed = (documents.read_or_none(store, part.key(name)) for name in ("part.json", "sniffed/report.json"))
        queued = handed_over + (plan or {}).get("handed_over", 0) + (sniffed or {}).get("others", 0)
        outcome = {"documents": counts, "handed_over": queued, "void": void, "at": at}
        documents.write(store, part.key("published.json"), outcome)
        return f"gave up part {part.number}: {void}" if void else f"finished part {part.number}"

    def _start(self, part: Part, step: str, kind: JobKind, request: dict[str, Any]) -> None:
        start_once(self.services, part.key(f"{step}.json"), kind, request)

    def _job(self, part: Part, step: str, kind: JobKind) -> Job:
        """Return the job; raise InvalidInputError where it has failed."""
        job = self.services.jobs.describe(kind, part.job(step))
        if job.has_failed:
            raise InvalidInputError(_reason(job))
        return job

    def _hand_over(self, key: str) -> int:
        """Send the images that a file of lines names to the image queue; return how many."""
        return self._send(entry["key"] for entry in lines(self.services.store, key))

    def _send(self, keys: Iterable[str]) -> int:
        messages = (look_again(key, anew=self.request.anew) for key in keys)
        return self.services.queues.send_all(self.services.settings.image_queue_url, messages)

    def _end(self) -> str:
        at = documents.timestamp(self.services.now())
        told = notice(f"The backfill of {self.request.prefix} has ended")
        self.services.bus.put(BACKFILL_ENDED, {"backfill": self.backfill.backfill_id, "notice": told})
        documents.write(self.services.store, self.backfill.key("ended.json"), {"at": at})
        return "ended"

    def _fail(self, message: str) -> None:
        sentence = one_sentence(message)
        told = notice(f"The backfill {self.backfill.backfill_id} of {self.request.prefix} failed: {sentence}")
        self.services.bus.put(
            BACKFILL_FAILED, {"backfill": self.backfill.backfill_id, "message": sentence, "notice": told}
        )
        at = documents.timestamp(self.services.now())
        documents.write(self.services.store, self.backfill.key("failure.json"), {"message": sentence, "at": at})
        self.services.store.delete(self.backfill.open_marker)


def _has_ended(job: Job) -> bool:
    return job.status == "Completed"


def _reason(job: Job) -> str:
    return job.reason or f"{job.name} was {job.status.lower()}"
