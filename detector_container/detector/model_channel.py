"""Incremental training: an earlier model from the optional channel `model`, whose weights this training starts from.

SageMaker hands the model over as the file it keeps, `model.tar.gz`; a folder with the archive's files does as well. As
with the built-in algorithm the earlier model must have the same base network and as many classes. Only models that this
container trained can go on: they say in detector.json how their pictures were prepared.
"""

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detector import artifacts
from detector.initial_weights import parameter_shapes
from detector.networks import Network
from detector.pretrained_channel import read_params
from detector.settings import Settings
from dropspot.errors import InvalidInputError

Array = npt.NDArray[np.float32]

_WANTED = (artifacts.DESCRIPTION, artifacts.PARAMETERS)


@dataclass(frozen=True, slots=True)
class EarlierModel:
    """An earlier model's description and its weights and statistics by name."""

    description: artifacts.Description
    weights: dict[str, Array]


def read_model(folder: Path) -> EarlierModel | None:
    """Return the channel's model; None where the job has no such channel.

    Raises InvalidInputError where the channel is there without a whole model of this container's.
    """
    if not folder.exists():
        return None
    what = f"channel {folder.name}"
    files = _files(folder, what)
    missing = [name for name in _WANTED if name not in files]
    if missing:
        raise InvalidInputError(
            f"{what} has no {' and no '.join(missing)}: give it the model.tar.gz of a model that this container trained"
        )
    try:
        description = artifacts.Description.parse(files[artifacts.DESCRIPTION].decode())
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{what}: {artifacts.DESCRIPTION} is not this container's: {error}") from error
    weights = read_params(files[artifacts.PARAMETERS], f"{what}: {artifacts.PARAMETERS}")
    return EarlierModel(description, weights)


def refuse_other_settings(earlier: EarlierModel, settings: Settings) -> None:
    """Raise InvalidInputError where the job asks for another network or another number of classes."""
    for name in ("base_network", "num_classes"):
        before, now = getattr(earlier.description, name), getattr(settings, name)
        if before != now:
            raise InvalidInputError(
                f"hyperparameter {name} is {now}, but channel model holds a model of {before}: it can only be trained "
                f"further with the same {name}"
            )


def matching_weights(earlier: EarlierModel, network: Network) -> dict[str, Array]:
    """Return the earlier model's weights for `network`.

    Raises InvalidInputError where they don't fit its maps, which another `image_shape` may have more or fewer of.
    """
    parameters, statistics = parameter_shapes(network)
    weights = {}
    for name, shape in (parameters | statistics).items():
        value = earlier.weights.get(name)
        if value is None or value.shape != shape:
            found = "is not in it" if value is None else f"has shape {value.shape} instead of {shape}"
            raise _other_maps(earlier, network, f"{name} {found}")
        weights[name] = value.astype(np.float32)
    surplus = sorted(earlier.weights.keys() - weights.keys() - {"anchors"})
    if surplus:
        raise _other_maps(earlier, network, f"{surplus[0]} is not in this network")
    return weights


def _other_maps(earlier: EarlierModel, network: Network, difference: str) -> InvalidInputError:
    return InvalidInputError(
        f"hyperparameter image_shape is {network.image_shape}, channel model holds a model trained at "
        f"{earlier.description.image_shape}, whose maps differ ({difference}): train it further at its own image_shape"
    )


def _files(folder: Path, what: str) -> dict[str, bytes]:
    """Return the contents of the files wanted, from the archive or beside it."""
    archives = sorted(folder.glob("*.tar.gz"))
    if len(archives) > 1:
        raise InvalidInputError(f"{what} has {len(archives)} archives, not one model")
    if not archives:
        return {name: (folder / name).read_bytes() for name in _WANTED if (folder / name).is_file()}
    found = {}
    try:
        with tarfile.open(archives[0], "r:*") as members:
            for member in members:
                name = Path(member.name).name
                stream = members.extractfile(member) if name in _WANTED and member.isfile() else None
                if stream is not None:
                    found[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InvalidInputError(f"{what}: {archives[0].name} cannot be read: {error}") from error
    return found
