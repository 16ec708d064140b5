"""The transforms of an evaluation: written down first, then started, so that every delivery starts the same ones."""

from dataclasses import replace
from typing import Any

from dropspot import documents
from dropspot.champion import champion_to_beat, held_out_by, share_classes
from dropspot.errors import InvalidInputError
from dropspot.evaluation_record import OTHER_PICTURES, ChampionToBeat, EvaluationRecord
from dropspot.jobs import start
from dropspot.ports import JobKind
from dropspot.runs import Run
from dropspot.services import Services
from dropspot.serving_requests import model_request
from dropspot.trainings import training_of
from transform import champion_transform_job_request, transform_job_request


def evaluation_record(services: Services[Any], run: Run) -> EvaluationRecord:
    """Return the run's evaluation as it was decided on first; decide on it, and make the model, where nobody has."""
    store, settings = services.store, services.settings
    if record := EvaluationRecord.read(store, run):
        return record
    dataset = documents.read(store, run.key("run.json"))["dataset"]
    training = training_of(run, store, services.jobs)
    model = model_request(run, dataset, training.model_data, settings)
    documents.write_once(store, run.key("model.json"), {"model": run.model, "request": model})
    services.hosting.create_model(model)
    transforms = [transform_job_request(run, dataset, settings)]
    champion = None
    if rival := champion_to_beat(store, run, dataset, settings.served_dataset):
        champion = ChampionToBeat(rival.run_id, held_out_by(store, run, rival))
        if champion.held_out == OTHER_PICTURES and share_classes(store, run, rival):
            transforms.append(champion_transform_job_request(run, rival, dataset, settings))
    record = EvaluationRecord(
        started_at=documents.timestamp(services.now()),
        transforms=tuple(transforms),
        champion=champion,
    )
    if documents.write_once(store, run.key("eval.json"), record.document):
        return record
    return EvaluationRecord.from_document(documents.read(store, run.key("eval.json")))


def start_transforms(services: Services[Any], run: Run, record: EvaluationRecord) -> list[str]:
    """Start the record's jobs that nobody has started; return their names.

    InvalidInputError: the candidate's is refused, or has failed. A champion's that is refused is struck off the record
    with the reason: it costs the comparison, not the run.
    """
    started = []
    own, *others = record.transforms
    if start(services, JobKind.TRANSFORM, own):
        started.append(run.transform_job)
    for request in others:
        try:
            if services.jobs.start(JobKind.TRANSFORM, request):
                started.append(run.champion_transform_job)
        except InvalidInputError as error:
            champion = replace(record.champion, objection=str(error)) if record.champion else None
            struck = replace(record, transforms=(own,), champion=champion)
            documents.write(services.store, run.key("eval.json"), struck.document)
    return started
