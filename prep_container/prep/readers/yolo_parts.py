"""Which part of the data set a YOLO label belongs to: what data.yaml says under train, val and test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from prep.model import Kind, SourceFile, stem
from prep.naming import part_of_folders
from prep.readers.yolo_names import NamesFile

Parts = tuple[str, ...]
_MAX_LIST_BYTES = 32 << 20


class YoloParts:
    """Parts by the folders and the lists that data.yaml names; of a folder that is named for several parts, none.

    `used` holds the paths of the lists and of the data.yaml files that said something.
    """

    def __init__(self, configs: Sequence[NamesFile], dataset: Sequence[SourceFile]) -> None:
        self.used: set[str] = set()
        self._folders: dict[Parts, set[str]] = defaultdict(set)
        self._tails: dict[Parts, set[str]] = defaultdict(set)
        self._known = {_split(file.path)[:i] for file in dataset if file.kind is Kind.PICTURE for i in _depths(file)}
        self._lists = {file.path: file for file in dataset if file.name.lower().endswith(".txt")}
        for config in configs:
            for part, path in config.entries:
                self._take(config, part, path)

    def of(self, label: SourceFile) -> frozenset[str]:
        """The part of a label's picture, if any; all of them where it is on several lists."""
        path = _as_picture(label.path)
        for depth in range(len(path)):  # lists name single pictures; the longest path is the surest
            if found := self._tails.get(path[depth:]):
                # A bare name on two lists may mean two pictures, of which the folders tell.
                return frozenset(found & {part_of_folders(path[:-1])} or found)
        for place in (path, _split(label.path)):
            for depth in range(len(place) - 1, -1, -1):
                if found := self._folders.get(place[:depth]):
                    return frozenset(found if len(found) == 1 else ())
        return frozenset()

    def _take(self, config: NamesFile, part: str, path: str) -> None:
        for place in _candidates(config, path):
            listing = self._lists.get("/".join(place))
            if listing is not None and self._take_list(listing, part):
                self.used |= {listing.path, config.file.path}
                return
            if place in self._known:
                self._folders[place].add(part)
                self.used.add(config.file.path)
                return

    def _take_list(self, listing: SourceFile, part: str) -> bool:
        """Whether the list can be read; each of its lines is the path of a picture."""
        try:
            content = listing.beginning(_MAX_LIST_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError:
            return False
        for line in content.splitlines():
            path = _as_picture(line.strip())
            for depth in range(max(0, len(path) - 4), len(path)):
                self._tails[path[depth:]].add(part)
        return True


def _candidates(config: NamesFile, path: str) -> list[Parts]:
    """Where a path of a data.yaml may lie in the data set, the likeliest first.

    As stated it is relative to `path`, which is relative to the file; in practice `path` is often a folder of another
    machine and `../train/images` stands for `train/images` beside the file.
    """
    here, stated, root = config.folders, _split(path), _split(config.root)
    rooted = path.startswith(("/", "\\")) or path[1:2] == ":"
    places = [] if rooted else [here + root + stated, here + stated]
    whole = tuple(part for part in (stated if rooted else root + stated) if part != "..")
    # A tail of one folder says too little: `images` would be any folder of pictures.
    shortest = 1 if path.lower().endswith(".txt") else min(2, len([part for part in stated if part != ".."]))
    tails = [whole[i:] for i in range(len(whole) - shortest + 1)]
    places += [here + tail for tail in tails] + tails
    return [place for place in dict.fromkeys(map(_resolved, places)) if place]


def _resolved(path: Parts) -> Parts:
    done: list[str] = []
    for part in path:
        if part != "..":
            done.append(part)
        elif done:
            done.pop()
    return tuple(done)


def _split(path: str) -> Parts:
    return tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))


def _depths(file: SourceFile) -> range:
    return range(1, len(_split(file.path)))


def _as_picture(path: str) -> Parts:
    """A label's or a picture's path without suffix, the last folder called `labels` called `images`."""
    *folders, name = _split(path) or ("",)
    for i in range(len(folders) - 1, -1, -1):
        if folders[i] in ("labels", "images"):
            folders[i] = "images"
            break
    return (*folders, stem(name))
