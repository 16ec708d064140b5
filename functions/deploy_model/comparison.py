"""The champion's scores to compare a candidate with, and on what footing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropspot import documents
from dropspot.champion import class_labels, held_out_by
from dropspot.errors import InvalidInputError
from dropspot.evaluation import Evaluation, HeldOutPicture, score
from dropspot.evaluation_record import SAME_PICTURES, EvaluationRecord, Progress
from dropspot.ports import ObjectStore
from dropspot.runs import Run
from dropspot.scoring import Detection
from held_out import detections_of

SAME, AGAIN, OWN, NONE = "same_pictures", "evaluated_again", "own_pictures", "not_compared"
_SAYS = {
    SAME: "it was evaluated on the same held-out pictures",
    AGAIN: "it was evaluated again, on the candidate's held-out pictures",
    OWN: "its own evaluation was on other held-out pictures",
    NONE: "no comparison took place, since its own evaluation.json is missing",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The champion beside the candidate. `basis` says whose pictures its scores are of, `says` the same in words.

    `document` is the champion's evaluation, in which classes that both know have the candidate's labels; None where
    there is none to compare with.
    """

    run_id: str
    basis: str
    says: str
    document: Mapping[str, Any] | None
    candidate_labels: Sequence[str]
    champion_labels: Sequence[str]

    @property
    def ap50(self) -> dict[str, float | None]:
        """AP@0.5 of the classes that both know, by label."""
        classes = self.document["classes"] if self.document else ()
        return {one["label"]: one["ap50"] for one in classes if one["label"] in self.candidate_labels}

    def summary(self, evaluation: Mapping[str, Any]) -> dict[str, Any]:
        """Return what verdict.json keeps of it beside the candidate's evaluation.

        Classes that only one of the two knows, or that one of them has no held-out box of, are listed, not compared.
        """
        candidate, champion = set(self.candidate_labels), set(self.champion_labels)
        ap50 = {one["label"]: one["ap50"] for one in evaluation["classes"]}
        both = candidate & champion
        unmeasured = [label for label in both if ap50[label] is None or self.ap50.get(label, 0) is None]
        return {
            "run_id": self.run_id,
            "basis": self.basis,
            "says": self.says,
            "map50": self.document["map50"] if self.document else None,
            "classes_not_compared": {
                "candidate_only": sorted(candidate - champion),
                "champion_only": sorted(champion - candidate),
                "without_held_out_box": sorted(unmeasured),
            },
        }


def compare(
    store: ObjectStore,
    run: Run,
    champion: Run | None,
    record: EvaluationRecord,
    progress: Progress,
    truth: Mapping[str, HeldOutPicture],
) -> Comparison | None:
    """Return the champion's side of the comparison, None where there is no champion.

    `champion` is the run in service now. Where it came there meanwhile, or where its evaluation over the candidate's
    pictures failed, its own recorded evaluation has to do, and the comparison says so.
    """
    if champion is None:
        return None
    labels, champion_labels = class_labels(store, run), class_labels(store, champion)
    expected = record.champion if record.champion and record.champion.run_id == champion.run_id else None
    basis, why, document = OWN, "", None
    if (expected.held_out if expected else held_out_by(store, run, champion)) == SAME_PICTURES:
        basis = SAME
    elif expected is None:
        why = "it came into service while the candidate was evaluated"
    elif progress.champion and progress.champion.status == "Completed":
        try:
            document = _evaluated_again(store, run, labels, champion_labels, truth).document
            basis = AGAIN
        except InvalidInputError as error:
            why = str(error)
    else:
        why = expected.objection or (progress.champion.reason if progress.champion else "")
    document = document or documents.read_or_none(store, champion.key("evaluation", "evaluation.json"))
    if document is None:
        basis = NONE
    says = f"{_SAYS[basis]}; it was not evaluated again: {why}" if why else _SAYS[basis]
    return Comparison(champion.run_id, basis, says, document, labels, champion_labels)


def _evaluated_again(
    store: ObjectStore,
    run: Run,
    labels: Sequence[str],
    champion_labels: Sequence[str],
    truth: Mapping[str, HeldOutPicture],
) -> Evaluation:
    """Score the champion's answers to the candidate's pictures, over the classes that both know."""
    shared = [label for label in labels if label in champion_labels]
    ids = {labels.index(label): number for number, label in enumerate(shared)}
    champion_ids = {champion_labels.index(label): number for number, label in enumerate(shared)}
    shared_truth = {
        name: HeldOutPicture(
            picture.width,
            picture.height,
            tuple(box._replace(class_id=ids[box.class_id]) for box in picture.boxes if box.class_id in ids),
        )
        for name, picture in truth.items()
    }
    answers = detections_of(store, run, "champion-raw", truth)
    known: dict[str, list[Detection]] = {
        name: [one._replace(class_id=champion_ids[one.class_id]) for one in found if one.class_id in champion_ids]
        for name, found in answers.items()
    }
    return score(shared, shared_truth, known)
