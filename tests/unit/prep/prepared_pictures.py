"""Pictures ready to be written, without the preparation that leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from unit.prep.minis import picture_bytes

from dropspot.preparation_plan import PreparationPlan
from prep.model import Box, Kind, LabelledPicture, SourceFile
from prep.quarantine import Quarantine
from prep.report import Findings, Shared, build_report
from prep.writers.outputs import write_prepared

URI = "s3://bucket/runs/pets-0123456789/prepared/"
CAT = Box("cat", 0.1, 0.2, 0.5, 0.6)
DOG = Box("dog", 0.25, 0.25, 1.0, 1.0)


def labelled(
    folder: Path, seed: int, boxes: Sequence[Box] = (CAT,), *, name: str = "", size: tuple[int, int] = (64, 48)
) -> LabelledPicture:
    """A picture that no other seed has, its JPEG in `folder`."""
    data = picture_bytes(seed, size)
    payload = folder / f"{seed}.jpg"
    payload.write_bytes(data)
    path = name or f"images/p{seed}.jpg"
    return LabelledPicture(
        source=SourceFile(path, Kind.PICTURE, payload, image_format="JPEG"),
        annotation=SourceFile(f"{path}.xml", Kind.ANNOTATION, payload),
        payload=payload,
        payload_digest=sha256(data).hexdigest(),
        pixel_digest=sha256(b"pixels" + data).hexdigest(),
        width=size[0],
        height=size[1],
        boxes=tuple(boxes),
    )


def shared_out(folder: Path, *, train: int = 6, validation: int = 2, test: int = 3) -> dict[str, list[LabelledPicture]]:
    """Cats and dogs in all parts, taking turns."""
    pictures = [
        labelled(folder, seed, ([CAT], [DOG], [CAT, DOG])[seed % 3]) for seed in range(train + validation + test)
    ]
    return {
        "train": pictures[:train],
        "validation": pictures[train : train + validation],
        "test": pictures[train + validation :],
    }


@dataclass(frozen=True)
class Decision:
    """A division or the conventions of a layout, by what it says of itself."""

    document: dict[str, Any]


DRAWN = Decision({"how": "content", "reason": "drawn by content, 70/10/20"})
PIXELS = Decision(
    {"units": "pixel", "first_pixel": 0, "last_pixel_inside": False, "evidence": "0 of 9 boxes lie within 0 and 1"}
)


@dataclass
class Case:
    """A report in the making; every part of it can be changed."""

    folder: Path
    shared: Shared
    classes: Sequence[str] = ("cat", "dog")
    output: str = "recordio"
    quarantine: Quarantine = field(default_factory=Quarantine)
    found: int | None = None
    findings: dict[str, Any] = field(default_factory=dict)
    plan: PreparationPlan | None = None

    def report(self) -> dict[str, Any]:
        """Write the outputs, then report on them."""
        used = sum(len(pictures) for pictures in self.shared.values())
        findings: dict[str, Any] = {
            "pictures": used if self.found is None else self.found,
            "layouts": {"voc": used},
            "division": DRAWN,
            "conventions": {"voc": PIXELS},
        }
        plan = self.plan or PreparationPlan(output=self.output)
        prepared = self.folder / f"prepared-{plan.output}"
        write_prepared(self.shared, self.classes, plan.output, prepared, URI)
        return build_report(
            self.shared, self.classes, Findings(**findings | self.findings), plan, prepared, self.quarantine
        )
