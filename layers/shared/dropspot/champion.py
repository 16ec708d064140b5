"""The champion that a candidate has to beat, and whether its own evaluation was over the same held-out pictures."""

from dropspot import documents
from dropspot.endpoint import CHAMPION, Deployment
from dropspot.errors import NotFoundError
from dropspot.evaluation_record import OTHER_PICTURES, SAME_PICTURES
from dropspot.ports import ObjectStore
from dropspot.runs import Run

_CLASSES = ("prepared", "classes.json")


def champion_to_beat(store: ObjectStore, run: Run, dataset: str, served_dataset: str) -> Run | None:
    """Return the run in service that the candidate would replace, None where there is none to compare with.

    One whose files somebody has removed is none.
    """
    document = documents.read_or_none(store, CHAMPION)
    if document is None:
        return None
    champion = Deployment.from_document(run.app, document)
    if champion.run == run or dataset not in {served_dataset, champion.dataset}:
        return None
    return champion.run if store.head(champion.run.key(*_CLASSES)) else None


def held_out_by(store: ObjectStore, run: Run, champion: Run) -> str:
    """Tell whether both runs hold out the same pictures with the same truth.

    Preparation gives equal data equal bytes, and a picture's name covers what is in it.
    """
    parts = (_CLASSES, ("prepared", "test", "truth.json"))
    try:
        same = all(store.read(run.key(*part)).body == store.read(champion.key(*part)).body for part in parts)
    except NotFoundError:
        same = False
    return SAME_PICTURES if same else OTHER_PICTURES


def share_classes(store: ObjectStore, run: Run, champion: Run) -> bool:
    """Tell whether there is a class that both know by the same label."""
    return not set(class_labels(store, run)).isdisjoint(class_labels(store, champion))


def class_labels(store: ObjectStore, run: Run) -> list[str]:
    """Return the labels of the run's classes in the order of their ids."""
    return list(documents.read(store, run.key(*_CLASSES))["classes"])
