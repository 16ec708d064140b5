"""The lists of picture names that data sets come with (list.txt, trainval.txt, test.txt, ImageSets/Main/*.txt)."""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prep.kinds import SUFFIX_FORMATS, suffix
from prep.model import Kind, SourceFile, stem
from prep.naming import AmbiguousNameError, Found, PictureIndex, fold, part_called, path_parts
from prep.quarantine import Quarantine

MAX_NAMES = 5_000_000  # on all lists together; one that is nobody's takes nearly a kilobyte of memory
MOST_NUMBERS = 8  # behind a name
_FIRST_BYTES = 1 << 14  # of a text that may be a list
_LIST_WORDS = frozenset(
    {"data", "file", "filenames", "files", "id", "ids", "image", "images", "list", "names", "set", "split"}
)
_UNREAD = frozenset({"unsafe_member", "file_too_large", "unreadable_file"})  # what is named, but not among the files
# UTF-32 first: its mark begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


@dataclass(slots=True)
class GivenLists:
    """What the data set's lists name.

    `lists` holds the number of names by the list's path. `pictures` are the paths of all pictures of the data set,
    `named` the lists that name each of them; `missing` has the names that fit no picture, and the lists they are on.
    `unreadable` are files called like the list of a part that cannot be read, and `unfollowed` files that name pictures
    and are called nearly so (`train_ids.txt`). `archives` has the archive of each picture that came in one.
    """

    lists: dict[str, int] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    unfollowed: tuple[str, ...] = ()
    archives: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every list that the data set came with, whether or not it can be read or followed."""
        return tuple(sorted({*self.lists, *self.unreadable, *self.unfollowed}))

    def naming(self, picture: str) -> tuple[str, ...]:
        """The paths of the lists that name the picture at this path."""
        return self.named.get(picture, ())


def withheld(lists: Iterable[str]) -> bool:
    """Whether a name on these lists is on a test list and on no training list: such come without boxes."""
    roles = {_role(path) for path in lists}
    return "test" in roles and "train" not in roles


def _role(path: str) -> str:
    name = stem(path.rpartition("/")[2]).lower()
    if part_called(name) == "test" or name.endswith("_test"):
        return "test"
    return "" if name == "list" else "train"


def part_of_list(path: str) -> str:
    """The part of the data set that a list stands for, or "".

    Pascal VOC's lists for one class (`cat_train.txt`, with 1, 0 or -1 behind each name) name every picture, and those
    for segmentation or persons' layout (`ImageSets/Segmentation/train.txt`) divide only the pictures meant for that.
    """
    *folders, name = path.lower().split("/")
    if folders[-2:-1] == ["imagesets"] and folders[-1] != "main":
        return ""
    return part_called(stem(name))


def read_lists(files: Sequence[SourceFile], quarantine: Quarantine) -> GivenLists:
    """Read every list: a line is a name or a path, alone or followed by numbers; `#` begins a comment.

    A path names the picture that has most of its folders, from the end: it may begin anywhere, on anybody's machine.
    A bare name that fits several pictures means the one nearest to the list, and is left out where that is nobody.
    """
    pictures = [file for file in files if file.kind is Kind.PICTURE]
    lists = [file for file in files if file.kind is Kind.LIST]
    given = GivenLists(pictures=tuple(picture.path for picture in pictures if picture.image_format))
    given.archives = {picture.path: picture.archive for picture in pictures if picture.archive}
    given.unfollowed = tuple(_called_nearly_so(files, pictures))
    unreadable = [e.file for e in quarantine.entries if e.left_out and e.code in _UNREAD and _is_part_list(e.file)]
    resolver = _Resolver(files, pictures, quarantine)
    for file in lists:
        try:
            text = _decoded(file.stored.read_bytes())
        except UnicodeDecodeError:
            reason = "named like a list of pictures, but neither UTF-8 text nor marked as UTF-16 or UTF-32"
            quarantine.leave_out(file.path, "unsupported_file", reason)
            unreadable += [file.path] if part_of_list(file.path) else []
            continue
        lines = dict.fromkeys(line.strip() for line in text.splitlines())
        if sum(given.lists.values()) + len(lines) > MAX_NAMES:
            reason = f"with it more than {MAX_NAMES:,} names are on lists"
            quarantine.leave_out(file.path, "file_too_large", reason)
            unreadable += [file.path] if part_of_list(file.path) else []
            continue
        given.lists[file.path] = resolver.take(file, [line for line in lines if line and not line.startswith("#")])
    given.named, given.missing = resolver.resolved()
    given.unreadable = tuple(sorted(unreadable))
    return given


def _decoded(content: bytes) -> str:
    """A list's text; PowerShell writes UTF-16 with a byte order mark. Raises UnicodeDecodeError."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    if b"\0" in content:  # UTF-8 as well, but in no name
        raise UnicodeDecodeError("utf-8", content, content.index(b"\0"), content.index(b"\0") + 1, "a null byte")
    return content.decode()


def _is_part_list(path: str) -> bool:
    return suffix(path) == "txt" and bool(part_of_list(path))


def _called_nearly_so(files: Sequence[SourceFile], pictures: Sequence[SourceFile]) -> Iterable[str]:
    """Texts of other names than lists have, made of a part's and a word for lists, whose first lines name pictures."""
    candidates = [f for f in files if f.kind is Kind.ANNOTATION and suffix(f.name) == "txt" and _nearly(f.stem)]
    names = {fold(name) for p in pictures for name in (p.stem, p.name)} if candidates else set[str]()
    for file in candidates:
        with file.stored.open("rb") as content:
            head = content.read(_FIRST_BYTES)
        try:
            lines = [line.strip() for line in _decoded(head).splitlines()[:-1] or [_decoded(head)]]
        except UnicodeDecodeError:
            continue
        bare = [fold(_bare(line.replace(",", " ").split()[0])) for line in lines if line.strip(" ,")]
        if bare and 2 * sum(name in names for name in bare) > len(bare) and not _is_label(head):
            yield file.path


def _nearly(name: str) -> bool:
    words = re.split(r"[-_. ]+", name.lower())
    parts = [word for word in words if part_called(word)]
    return bool(parts) and len(parts) < len(words) and _LIST_WORDS.issuperset(set(words) - set(parts))


def _is_label(head: bytes) -> bool:
    """Whether a text's first line is five numbers, as in a YOLO label; pictures may be called by numbers too."""
    return re.match(rb"\s*[0-9]+(?:[ \t]+[-+0-9.eE]+){4}\s", head + b"\n") is not None


@dataclass(slots=True)
class _Best:
    """Which lists name a picture, and by how many folders the best of their names fits it."""

    folders: int
    lists: dict[str, None]


class _Resolver:
    """Finds the picture that each name on a list means."""

    def __init__(self, files: Sequence[SourceFile], pictures: Sequence[SourceFile], quarantine: Quarantine) -> None:
        self._index = PictureIndex(pictures)
        self._annotations = {fold(file.stem) for file in files if file.kind is Kind.ANNOTATION}
        self._quarantine = quarantine
        self._named: dict[str, _Best] = {}
        self._doubtful: list[tuple[str, str, Found]] = []
        self._missing: dict[str, dict[str, None]] = defaultdict(dict)

    def take(self, file: SourceFile, lines: Iterable[str]) -> int:
        """Resolve a list's lines; returns the number of names."""
        count, part = 0, part_of_list(file.path)
        for line in lines:
            count += 1
            name = line
            try:
                name, found = self._find(line, file, part)
            except AmbiguousNameError as error:
                self._quarantine.leave_out(file.path, "ambiguous_image", str(error), item=name)
                continue
            if found is None:
                self._missing[name][file.path] = None
            elif found.contradicted:
                self._doubtful.append((name, file.path, found))
                self._improve(found)
            else:
                self._improve(found).lists[file.path] = None
        return count

    def _improve(self, found: Found) -> _Best:
        best = self._named.setdefault(found.picture.path, _Best(found.folders, {}))
        best.folders = max(best.folders, found.folders)
        return best

    def resolved(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        """The lists that name each picture, and those that hold each name that fits none.

        `train/1.jpg` does not mean `val/1.jpg` where another name means that better.
        """
        for name, path, found in self._doubtful:
            best = self._named[found.picture.path]
            (self._missing[name] if best.folders > found.folders else best.lists)[path] = None
        known: dict[tuple[str, ...], tuple[str, ...]] = {}  # one tuple for all the pictures of the same lists

        def shared(lists: Iterable[str]) -> tuple[str, ...]:
            paths = tuple(sorted(lists))
            return known.setdefault(paths, paths)

        named = {path: shared(best.lists) for path, best in self._named.items() if best.lists}
        return named, {name: shared(self._missing[name]) for name in sorted(self._missing)}

    def _find(self, line: str, file: SourceFile, part: str) -> tuple[str, Found | None]:
        """The name in a line, which may have spaces, and the picture it means."""
        readings = _readings(line)
        for name in readings:
            found = self._index.find(name, file, part)
            if found is not None or fold(_bare(name)) in self._annotations:
                return name, found
        return readings[-1], None


def _readings(line: str) -> list[str]:
    """What the name in a line may be, the longest first: the line, without numbers behind it, or its first word."""
    readings = [line]
    for _ in range(MOST_NUMBERS):
        head, *number = readings[-1].rsplit(maxsplit=1)
        if not number or not number[0].lstrip("+-").replace(".", "", 1).isdecimal():
            break
        readings.append(head)
    readings.append(line.split(maxsplit=1)[0])
    # `my cat.jpg` is not `my`: where a reading ends like a picture, the name does.
    return [name for name in readings if suffix(name) in SUFFIX_FORMATS] or readings


def _bare(name: str) -> str:
    """The name without its folders and a picture's suffix (`a.b` stays)."""
    last = (path_parts(name) or [""])[-1]
    return stem(last) if suffix(last) in SUFFIX_FORMATS else last
