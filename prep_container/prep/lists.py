"""The lists of picture names that data sets come with (list.txt, trainval.txt, test.txt, ImageSets/Main/*.txt)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from prep.kinds import SUFFIX_FORMATS, suffix
from prep.model import Kind, SourceFile, stem
from prep.quarantine import Quarantine


@dataclass(slots=True)
class ListedNames:
    """Which lists name which picture; names are without folder and suffix."""

    lists: dict[str, set[str]] = field(default_factory=dict)

    def naming(self, name: str) -> list[str]:
        """The paths of the lists that hold this name."""
        return sorted(path for path, names in self.lists.items() if name in names)

    @property
    def names(self) -> set[str]:
        return set().union(*self.lists.values())

    def withheld(self, name: str) -> bool:
        """Whether a name is on a test list and on no training list: published test halves come without boxes."""
        roles = {_role(path) for path in self.naming(name)}
        return "test" in roles and "train" not in roles


def _role(path: str) -> str:
    name = stem(path.rpartition("/")[2]).lower()
    if name == "test" or name.endswith("_test"):
        return "test"
    return "" if name == "list" else "train"


def read_lists(files: Sequence[SourceFile], quarantine: Quarantine) -> ListedNames:
    """Read every list: a line is a name, alone or followed by numbers; lines that begin with `#` are comments.

    A name with spaces is recognised where a picture or annotation is called so.
    """
    known = {file.stem for file in files if file.kind in (Kind.PICTURE, Kind.ANNOTATION)}
    listed = ListedNames()
    for file in files:
        if file.kind is not Kind.LIST:
            continue
        try:
            text = file.stored.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            quarantine.leave_out(file.path, "unsupported_file", "named like a list of pictures, but not UTF-8 text")
            continue
        lines = (line.strip() for line in text.splitlines())
        listed.lists[file.path] = {_name(line, known) for line in lines if line and not line.startswith("#")}
    return listed


def _name(line: str, known: set[str]) -> str:
    whole = _bare(line)
    return whole if whole in known else _bare(line.split(maxsplit=1)[0])


def _bare(word: str) -> str:
    """`images/cat_1.jpg` and `cat_1` name the same picture; only a picture's suffix goes (`a.b` stays)."""
    name = word.replace("\\", "/").rpartition("/")[2]
    return stem(name) if suffix(name) in SUFFIX_FORMATS else name
