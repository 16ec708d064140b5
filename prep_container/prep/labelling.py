"""From a picture and what is said about it to a picture that can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dropspot.preparation_plan import PreparationPlan
from prep.boxes import usable_boxes
from prep.conventions import Conventions
from prep.decoding import Decoded, DecodeTask, Look, Undecodable
from prep.duplicates import in_luma, look_alikes, perhaps_in_colour, told_apart, with_one_identity
from prep.matching import Pair
from prep.model import Annotation, LabelledPicture
from prep.pool import Crew
from prep.progress import Progress
from prep.quarantine import Quarantine
from prep.single_pictures import NOT_AN_IMAGE


@dataclass(frozen=True, slots=True)
class DecodedPair:
    """A pair whose picture has been decoded, so that its real size is known; `payload` is what is written of it."""

    pair: Pair
    decoded: Decoded
    payload: Path

    @property
    def stated(self) -> tuple[Annotation, int, int]:
        """The annotation with the width and height of its picture, held upright."""
        return self.pair.annotation, self.decoded.width, self.decoded.height


def decoded_pairs(
    pairs: Sequence[Pair],
    plan: PreparationPlan,
    folder: Path,
    quarantine: Quarantine,
    say: Callable[[str], None],
    crew: Crew,
) -> list[DecodedPair]:
    """Decode every picture that something is annotated on, in the order of `pairs`; new JPEGs go into `folder`."""
    folder.mkdir(parents=True)
    # Objects lost while reading: an annotation left empty by them is not one that states no object.
    lost = {(e.file, e.item) for e in quarantine.entries if e.left_out and e.box is not None and not e.deliberate}
    tasks: dict[int, DecodeTask] = {}
    for number, pair in enumerate(pairs):
        if not pair.picture.image_format:
            _lose(pair, "not_an_image", NOT_AN_IMAGE, quarantine)
        elif pair.annotation.boxes:
            tasks[number] = DecodeTask(number, pair.picture.stored, plan.shorter_side, folder)
        elif (pair.annotation.file.path, pair.annotation.item) in lost:
            _lose(pair, "no_usable_box", "not one of its objects can be used", quarantine)
        else:
            _lose(pair, "no_object", "it is annotated as holding no object", quarantine, deliberate=True)
    progress = Progress(len(tasks), say)
    decoded: dict[int, Decoded] = {}
    for task, outcome in crew.decode_all(tasks.values()):
        progress.advance()
        pair = pairs[task.number]
        if isinstance(outcome, Undecodable):
            _lose(pair, outcome.code, outcome.reason, quarantine)
            continue
        if outcome.unreadable_exif:
            quarantine.remark(pair.picture.path, "unreadable_exif", "its EXIF data make no sense; taken as upright")
        if outcome.remark:
            reason = "it decodes completely, but with complaints; used as decoded and encoded anew"
            quarantine.remark(pair.picture.path, outcome.remark, reason)
        decoded[task.number] = outcome
    decoded = _identified(decoded, tasks, say, crew)
    return [
        DecodedPair(
            pairs[number], decoded[number], tasks[number].stored if decoded[number].passes else tasks[number].target
        )
        for number in sorted(decoded)
    ]


def _identified(
    decoded: Mapping[int, Decoded], tasks: Mapping[int, DecodeTask], say: Callable[[str], None], crew: Crew
) -> dict[int, Decoded]:
    """The same, those that look alike at first told apart by as much more as it takes."""

    def again(chosen: set[int], look: Look) -> dict[int, Decoded]:
        if chosen:
            say(f"comparing {len(chosen)} images that look like others")
        outcomes = crew.decode_all([replace(tasks[number], look=look) for number in sorted(chosen)])
        return {task.number: found for task, found in outcomes if isinstance(found, Decoded)}

    decoded = in_luma(decoded, again(perhaps_in_colour(decoded), Look.IN_COLOUR))
    return told_apart(decoded, again(look_alikes(decoded), Look.WHOLE))


def labelled_pictures(
    decoded: Sequence[DecodedPair],
    conventions: Mapping[str, Conventions],
    plan: PreparationPlan,
    quarantine: Quarantine,
) -> list[LabelledPicture]:
    """Check the boxes of every decoded picture; those left with none are left out.

    The pictures' `pixel_digest` is the same wherever two are the same picture, as found or as written.
    """
    labelled = []
    for each in decoded:
        annotation, width, height = each.stated
        before = len(quarantine.entries)
        boxes = usable_boxes(annotation, width, height, conventions[annotation.layout], plan, quarantine)
        if not boxes:
            # A picture on which the plan asks for nothing is no loss; one whose boxes were bad is.
            unwanted = all(entry.deliberate for entry in quarantine.entries[before:] if entry.left_out)
            reason = "the plan asks for none of its objects" if unwanted else "no usable box is left"
            _lose(each.pair, "no_usable_box", reason, quarantine, deliberate=unwanted)
            continue
        labelled.append(
            LabelledPicture(
                source=each.pair.picture,
                annotation=annotation.file,
                payload=each.payload,
                payload_digest=each.decoded.payload_digest,
                pixel_digest=each.decoded.identity.digest,
                width=each.decoded.payload_width,
                height=each.decoded.payload_height,
                boxes=boxes,
            )
        )
    return with_one_identity(labelled)


def _lose(pair: Pair, code: str, reason: str, quarantine: Quarantine, *, deliberate: bool = False) -> None:
    annotation = pair.annotation
    stated_in = f"{annotation.file.path} ({annotation.item})" if annotation.item else annotation.file.path
    quarantine.leave_out(pair.picture.path, code, reason, annotation=stated_in, deliberate=deliberate)
