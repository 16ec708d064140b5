"""What serving answers: a picture's detections in the built-in algorithm's two forms."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

Floats = npt.NDArray[np.floating[Any]]

# What stands between commas, and between semicolons. Nothing in them is matched twice: a header may be long.
_QUOTED = r'"(?:[^"\\]|\\.)*+"?+'
_CHOICE = re.compile(rf'(?:[^",]|{_QUOTED})++')
_PART = re.compile(rf'(?:[^";]|{_QUOTED})++')
_WANTED = ("annotation=1", 'annotation="1"')


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture's detections, best first.

    Rows of class id, score, xmin, ymin, xmax, ymax (fractions of the upright picture).
    """

    width: int
    height: int
    rows: Floats  # (M, 6)

    def encoded(self, pixels: bool) -> bytes:
        """Return the JSON, with boxes in pixels or as fractions; raise ValueError where JSON doesn't know a number."""
        if not np.isfinite(self.rows).all():
            raise ValueError("the answer has numbers that JSON doesn't know")
        return orjson.dumps(self.annotation() if pixels else self.prediction(), option=orjson.OPT_SERIALIZE_NUMPY)

    def prediction(self) -> dict[str, Floats]:
        """Return the built-in algorithm's answer."""
        return {"prediction": self.rows.astype(np.float64, order="C").round(6)}

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
    """Return whether an Accept header asks for pixel boxes: `application/json` with the parameter `annotation=1`.

    The value may be quoted, as any parameter's; separators in quotes separate nothing.
    """
    accept = accept.lower()
    if "annotation" not in accept:
        return False
    for choice in _CHOICE.findall(accept):
        media_type, *parameters = [part.strip() for part in _PART.findall(choice)] or [""]
        wanted = (parameter.replace(" ", "") in _WANTED for parameter in parameters)
        if media_type == "application/json" and any(wanted):
            return True
    return False
