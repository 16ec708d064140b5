"""A trained model as serving runs it: ONNX Runtime on the exported graph, boxes decoded and thinned out in numpy."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from detector import artifacts
from detector.answers import Answer
from detector.batches import network_input
from detector.detections import detections
from detector.pictures import read_picture

Floats = npt.NDArray[np.floating[Any]]


class ServedModel:
    """A model folder, loaded. Safe to use from several threads at once."""

    def __init__(self, folder: Path, threads_per_request: int = 1) -> None:
        self.description = artifacts.Description.read(folder)
        self._anchors = np.load(folder / artifacts.ANCHORS, allow_pickle=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads_per_request
        options.inter_op_num_threads = 1
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # waiting threads leave the cores to others
        self._session = onnxruntime.InferenceSession(
            str(folder / artifacts.ONNX), options, providers=["CPUExecutionProvider"]
        )

    def detect(self, data: bytes) -> Answer:
        """Return the detections in a compressed picture; raise InvalidInputError where it isn't one."""
        return self.detect_picture(read_picture(data))

    def prove(self) -> None:
        """Look at a grey picture; raise ValueError where the graph, the anchors and the description disagree."""
        known, buffer = self.description, io.BytesIO()
        Image.new("RGB", (64, 48), "grey").save(buffer, "JPEG")
        prepared = network_input(read_picture(buffer.getvalue()), known.image_shape, known.mean, known.deviation)
        probabilities, offsets = self.raw(prepared[None])
        anchors = len(self._anchors)
        for name, values, width in (("probabilities", probabilities, known.num_classes + 1), ("offsets", offsets, 4)):
            if values.shape != (1, anchors, width):
                raise ValueError(f"the {name} have shape {values.shape}, expected {(1, anchors, width)}")
            if not np.isfinite(values).all():
                raise ValueError(f"the {name} are not all finite: the weights are broken")
        self.detect(buffer.getvalue())

    def detect_picture(self, picture: Image.Image) -> Answer:
        """Return the detections in an upright RGB picture."""
        known = self.description
        probabilities, offsets = self.raw(network_input(picture, known.image_shape, known.mean, known.deviation)[None])
        rows = detections(probabilities[0], offsets[0], self._anchors, known.nms_threshold, known.nms_topk)
        return Answer(picture.width, picture.height, rows)

    def raw(self, pictures: Floats) -> Sequence[Floats]:
        """Return class probabilities (B, N, classes + 1) and offsets (B, N, 4) for prepared pictures (B, 3, S, S)."""
        answers: Sequence[Floats] = self._session.run([artifacts.PROBABILITIES, artifacts.OFFSETS], {"data": pictures})
        return answers
