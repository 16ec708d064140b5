"""Which command of this checkout stands for which container image.

A container image cannot be pulled here, so an image URI is looked up in a table that gives, for each way in which
SageMaker starts a container, the command that runs the same code in an environment of the checkout.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
PREP_IMAGE = f"{REGISTRY}/dropspot-prep:local"
DETECTOR_IMAGE = f"{REGISTRY}/dropspot-detector:local"
BUILT_IN_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/object-detection:(1|latest)")

COMMANDS = ("process", "train", "serve")
"""How SageMaker starts an image: Processing runs its entry point, Training `train`, hosting and Transform `serve`."""


class UnknownImageError(LookupError):
    """No command of this checkout stands for the image."""


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image's code as commands of this machine."""

    commands: Mapping[str, tuple[str, ...]]  # a name of COMMANDS -> arguments of the process
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, uri: str, name: str) -> tuple[str, ...]:
        """The command line for `name` (one of COMMANDS); UnknownImageError when the image has none."""
        try:
            return self.commands[name]
        except KeyError:
            raise UnknownImageError(f"The image {uri} has no local command for '{name}'.") from None


class ImageTable:
    """Image URIs and what stands for them; the built-in algorithm's image of any region is the detector's code."""

    def __init__(self, images: Mapping[str, LocalImage]) -> None:
        self._images = dict(images)

    def find(self, uri: str) -> LocalImage:
        """The image's local stand-in; UnknownImageError names an image that has none."""
        known = self._images.get(uri)
        if known is None and BUILT_IN_IMAGE.fullmatch(uri):
            known = self._images.get(DETECTOR_IMAGE)
        if known is None:
            raise UnknownImageError(
                f"The embedded cloud knows no local command for the image {uri}. It knows "
                f"{', '.join(sorted(self._images))}."
            )
        return known


def checkout_images(root: Path) -> ImageTable:
    """The images of the checkout at `root`, run by the environments that `make` puts under `.envs/`."""
    layers = [root / "layers" / "shared", root / "layers" / "imaging"]

    def environment(container: str) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join(map(str, [root / container, *layers]))}

    def python(name: str) -> str:
        return str(root / ".envs" / name / "bin" / "python")

    prep = LocalImage({"process": (python("prep"), "-m", "prep")}, environment("prep_container"))
    detector = LocalImage(
        {
            "train": (python("detector-train"), "-m", "detector.train"),
            "serve": (python("detector-serve"), "-m", "detector.serve"),
        },
        environment("detector_container"),
    )
    return ImageTable({PREP_IMAGE: prep, DETECTOR_IMAGE: detector})


def read_images(path: Path) -> ImageTable:
    """A table from a JSON file: `{uri: {"commands": {"train": [...], ...}, "environment": {...}}}`."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    images = {}
    for uri, entry in document.items():
        unknown = set(entry["commands"]) - set(COMMANDS)
        if unknown:
            raise ValueError(f"{path}: {uri}: unknown command {sorted(unknown)}; there are {', '.join(COMMANDS)}")
        commands = {name: tuple(str(word) for word in words) for name, words in entry["commands"].items()}
        images[uri] = LocalImage(commands, dict(entry.get("environment", {})))
    return ImageTable(images)
