"""From the answers of an evaluation to its verdict, and to what follows from that."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from approval import candidate_of, put_into_service, record_approval
from comparison import Comparison, compare
from dropspot import documents
from dropspot.champion import champion_to_beat, class_labels
from dropspot.desired import of_another_dataset
from dropspot.endpoint import DESIRED, MODEL_AWAITS_APPROVAL, MODEL_REFUSED, Deployment, wanted_in
from dropspot.errors import NotFoundError
from dropspot.evaluation import score
from dropspot.evaluation_page import evaluation_page
from dropspot.evaluation_record import EvaluationRecord, Progress
from dropspot.failures import notice
from dropspot.plan import MANUAL, TrainingPlan
from dropspot.ports import APPROVED, ObjectStore
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.worst_pictures import worst_pictures
from gate import NOT_SERVED, PASSED, Rule, Verdict, judge, rule_documents, verdict_of
from held_out import detections_of, held_out_pictures
from registration import ensure_registered


def judge_run(run: Run, services: Services[Any]) -> Verdict | None:
    """Judge the run once all of its evaluation's jobs have ended; None where that is not yet so, or was done before.

    The verdict is written last and once: a run without one is taken up again, and everything before it bears repeating.
    """
    store = services.store
    record = EvaluationRecord.read(store, run)
    if record is None or store.head(run.key("verdict.json")) is not None:
        return None
    progress = Progress.of(record, run, services.jobs)
    if not progress.has_ended or progress.candidate is None or progress.candidate.has_failed:
        return None
    candidate = candidate_of(services, run)
    plan = TrainingPlan.from_document(documents.read(store, run.key("plan.json")))
    truth = held_out_pictures(store, run)
    evaluation = score(class_labels(store, run), truth, detections_of(store, run, "raw", truth))
    champion = champion_to_beat(store, run, candidate.dataset, services.settings.served_dataset)
    comparison = compare(store, run, champion, record, progress, truth)
    measured = evaluation.document
    documents.write(store, run.key("evaluation", "evaluation.json"), measured)
    if comparison and comparison.document:
        document = {"run_id": comparison.run_id, "basis": comparison.basis, **comparison.document}
        documents.write(store, run.key("evaluation", "champion.json"), document)
    rules = judge(measured, plan.gate, comparison)
    verdict = follow(services, candidate, verdict_of(rules), measured, plan)
    written = verdict_document(services, verdict, measured, plan, rules, comparison)
    worst = worst_pictures(evaluation, truth, partial(_picture, store, run), "../prepared/test/images/{}".format)
    page = evaluation_page(f"Run {run.run_id}", measured, worst, comparison.document if comparison else None, written)
    store.write(run.key("evaluation", "evaluation.html"), page.encode(), content_type="text/html; charset=utf-8")
    documents.write_once(store, run.key("verdict.json"), written)
    return verdict


def _picture(store: ObjectStore, run: Run, name: str) -> bytes | None:
    try:
        return store.read(run.key("prepared", "test", "images", name)).body
    except NotFoundError:
        return None


def follow(
    services: Services[Any],
    candidate: Deployment,
    verdict: Verdict,
    evaluation: Mapping[str, Any],
    plan: TrainingPlan,
) -> Verdict:
    """Do what the gate's verdict entails; return it, or what keeps a model out that has passed."""
    run, settings = candidate.run, services.settings
    if verdict.status != PASSED:
        told = notice(f"The model of run {run.run_id} doesn't go into service: {verdict.rule}")
        services.bus.put(MODEL_REFUSED, {"run_id": run.run_id, "dataset": candidate.dataset, "notice": told})
        return verdict
    if not_served := foreign_dataset(services.store, candidate, settings.served_dataset):
        return not_served
    ensure_registered(services, run, evaluation, plan.gate.approval)
    if plan.gate.approval == MANUAL:
        told = notice(f"The model of run {run.run_id} waits for approval: dropspot approve {run.run_id}")
        services.bus.put(MODEL_AWAITS_APPROVAL, {"run_id": run.run_id, "dataset": candidate.dataset, "notice": told})
        return replace(verdict, rule=f"{verdict.rule}; it waits for approval")
    objection = put_into_service(services, candidate, "passed the gate")
    record_approval(services, run, APPROVED, "by the gate alone", objection)
    return Verdict(PASSED if objection.is_served else NOT_SERVED, objection.message) if objection else verdict


def foreign_dataset(store: ObjectStore, candidate: Deployment, served_dataset: str) -> Verdict | None:
    """Return the verdict on a candidate of a data set that this stack doesn't serve, None for one that it does."""
    objection = of_another_dataset(
        candidate, wanted_in(candidate.run.app, documents.read_or_none(store, DESIRED)), served_dataset
    )
    return Verdict(NOT_SERVED, objection.message) if objection else None


def verdict_document(
    services: Services[Any],
    verdict: Verdict,
    evaluation: Mapping[str, Any],
    plan: TrainingPlan,
    rules: list[Rule],
    comparison: Comparison | None,
) -> dict[str, Any]:
    """Return verdict.json: what was decided, by which rule, and every rule with its number and its limit."""
    decisive = next((rule for rule in rules if not rule.passed), None)
    return {
        "status": verdict.status,
        "rule": verdict.rule,
        "decided_by": decisive.name if decisive else "",
        "map50": evaluation["map50"],
        "map50_voc07": evaluation["map50_voc07"],
        "map": evaluation["coco"]["map"],
        "boxes": evaluation["boxes"],
        "gate": plan.document["gate"],
        "rules": rule_documents(rules),
        "champion": comparison.summary(evaluation) if comparison else None,
        "approval": plan.gate.approval,
        "at": documents.timestamp(services.now()),
    }
