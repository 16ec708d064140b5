"""A trained model as serving runs it: ONNX Runtime on the exported graph, boxes decoded and thinned out in numpy."""

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
