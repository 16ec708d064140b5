"""A trained model, given to a verb as its folder, as `dropspot train`'s OUT, or as a training job's model.tar.gz."""

import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from detector.artifacts import DESCRIPTION, Description
from dropspot.errors import InvalidInputError


def beside(given: Path) -> Path:
    """Return the folder that holds the model folder or the archive: where files about the model lie."""
    inner = given / "model"
    return given.resolve() if (inner / DESCRIPTION).is_file() else given.resolve().parent


@contextmanager
def serving_root(given: Path) -> Iterator[Path]:
    """A temporary folder shaped like a serving container's /opt/ml, with the model in model/.

    Raises InvalidInputError, with one sentence, for what isn't a detector's model.
    """
    with TemporaryDirectory(prefix="dropspot-") as temporary:
        root = Path(temporary)
        if given.is_file():
            _unpack(given, root / "model")
        else:
            (root / "model").symlink_to(_model_folder(given))
        yield root


def description(root: Path, given: Path) -> Description:
    """Return what the model in a serving root says of itself; raise InvalidInputError, naming `given`, where it can't.

    Nothing but the description is looked at: the server proves the rest.
    """
    try:
        return Description.read(root / "model")
    except FileNotFoundError as error:
        raise InvalidInputError(f"{given} holds no model of the detector: it has no {DESCRIPTION}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(
            f"{given} holds a {DESCRIPTION} that this version can't read ({_reason(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(":")


def _reason(error: Exception) -> str:
    return str(error).rpartition(f"{DESCRIPTION}: ")[2]


def _model_folder(given: Path) -> Path:
    if not given.exists():
        raise InvalidInputError(f"{given} does not exist")
    inner = given / "model"
    return (inner if (inner / DESCRIPTION).is_file() else given).resolve()


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the files at the top of an archive, where a model has all of its; whatever else there is stays packed."""
    folder.mkdir()
    try:
        with tarfile.open(archive, "r:*") as opened:
            for member in opened:
                parts = PurePosixPath(member.name).parts
                if len(parts) == 1 and parts[0] != ".." and member.isfile() and (source := opened.extractfile(member)):
                    with source, (folder / parts[0]).open("wb") as file:
                        shutil.copyfileobj(source, file)
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise InvalidInputError(f"{archive} is no model.tar.gz that can be unpacked: {_first_line(error)}") from error
