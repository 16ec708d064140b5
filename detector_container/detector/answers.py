"""What serving answers: a picture's detections in the built-in algorithm's two forms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture's detections, best first.

    Rows of class id, score, xmin, ymin, xmax, ymax (fractions of the upright picture).
    """

    width: int
    height: int
    rows: Floats  # (M, 6)

    def prediction(self) -> dict[str, Any]:
        """Return the built-in algorithm's answer."""
        return {"prediction": np.round(self.rows.astype(np.float64), 6).tolist()}

    def annotation(self) -> dict[str, Any]:
        """Return the built-in algorithm's answer to `Accept: application/json;annotation=1`: boxes in pixels."""
        annotations = []
        for class_id, score, xmin, ymin, xmax, ymax in self.rows.tolist():
            left, top = round(xmin * self.width), round(ymin * self.height)
            box = {
                "left": left,
                "top": top,
                "width": round(xmax * self.width) - left,
                "height": round(ymax * self.height) - top,
            }
            annotations.append({"class_id": int(class_id), "score": round(score, 6), **box})
        return {"image_size": [{"width": self.width, "height": self.height, "depth": 3}], "annotations": annotations}


def wants_annotation(accept: str) -> bool:
    """Return whether an Accept header asks for pixel boxes: `application/json` with the parameter `annotation=1`."""
    for choice in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in choice.split(";"))
        if media_type == "application/json" and "annotation=1" in (p.replace(" ", "") for p in parameters):
            return True
    return False
