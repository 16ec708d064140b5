"""report.html: everything in it, safe, small, the same every time and readable by everyone."""

import base64
import dataclasses
import io
import random
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from unit.prep.minis import picture_bytes
from unit.prep.prepared_pictures import CAT, DOG, PIXELS, Case, Decision, labelled, shared_out

from prep.model import Box, LabelledPicture
from prep.page import charts
from prep.page.contact_sheet import MOST_BYTES, MOST_PICTURES, chosen_pictures, contact_sheet, thumbnail
from prep.page.words import counted, listed, sentence, shown
from prep.quarantine import Quarantine
from prep.report_page import MOST_CLASSES, class_rows, code_rows, write_report_page

Shared = dict[str, list[LabelledPicture]]
HOSTILE = "</svg></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %}"
VOID = {"meta", "link", "br", "img", "input", "hr", "image"}


class Page(HTMLParser):
    """Every tag with its attributes, the text, and whether each tag that begins also ends."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.html = html
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(case: Case) -> Page:
    path = case.folder / "report" / "report.html"
    write_report_page(path, case.report(), case.shared, case.quarantine)
    return Page(path.read_text("utf-8"))


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return shared_out(tmp_path, train=20, validation=8, test=8)


def test_the_page_says_what_was_prepared(tmp_path: Path, shared: Shared) -> None:
    quarantine = Quarantine()
    for number in range(5):
        quarantine.leave_out(f"images/lost_{number}.jpg", "corrupt_image", f"ends after {number} rows")
    quarantine.leave_out("test/a.jpg", "no_object", "none", deliberate=True)
    quarantine.remark("b.xml", "box_clipped", "by 3 pixels", box=2)
    text = " ".join(page_of(Case(tmp_path, shared, quarantine=quarantine, found=42)).text.split())
    for stated in (
        "36 pictures with 48 boxes of 2 classes", "6 of the 42 pictures found were left out", "Written as RecordIO.",
        "Drawn by content, 70/10/20.", "36 annotations: boxes in pixels counted from 0.",
        "0 of 9 boxes lie within 0 and 1.", "corrupt_image", "a picture that cannot be decoded completely",
        "images/lost_0.jpg ends after 0 rows", "images/lost_2.jpg", "not counted as lost", "b.xml, box 2 by 3 pixels",
        "num_training_samples 20", "label_width 32",
    ):  # fmt: skip
        assert stated in text
    assert "images/lost_3.jpg" not in text  # the first few are enough


def test_the_page_needs_nothing_but_itself(tmp_path: Path, shared: Shared) -> None:
    page = page_of(Case(tmp_path, shared))
    assert not page.named("script") + page.named("link") + page.named("iframe")
    references = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("href", "src")]
    assert len(references) == MOST_PICTURES
    assert all(value and value.startswith("data:image/jpeg;base64,") for value in references)
    assert "url(" not in page.html
    assert "@import" not in page.html
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    names = [HOSTILE, f"{HOSTILE}\u202e\x00\x1b\ud800", "x" * 100_000]
    shared = {
        side: [labelled(tmp_path, 10 * n + i, [Box(name, 0, 0, 1, 1)]) for i, name in enumerate(names)]
        for n, side in enumerate(("train", "validation", "test"))
    }
    first = shared["train"][0]
    shared["train"][0] = dataclasses.replace(first, source=dataclasses.replace(first.source, path=f"a/{HOSTILE}.jpg"))
    quarantine = Quarantine()
    for name in names:
        quarantine.leave_out(name, "corrupt_image", HOSTILE)
    plain = page_of(Case(tmp_path / "plain", shared_out(tmp_path, train=3, validation=3, test=3)))
    findings = {
        "division": Decision({"how": "content", "reason": HOSTILE}),
        "layouts": {HOSTILE: 9},
        "conventions": {HOSTILE: Decision(PIXELS.document | {"evidence": HOSTILE})},
    }
    page = page_of(Case(tmp_path, shared, classes=names, quarantine=quarantine, findings=findings))
    assert {name for name, _ in page.tags} == {name for name, _ in plain.tags} | {"ul", "li"}
    assert HOSTILE[:20] in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert not re.search("[\u202e\x00\x1b]", page.html)
    assert len(page.html) < 150_000


def test_the_same_report_is_the_same_page_whatever_the_order(tmp_path: Path, shared: Shared) -> None:
    first = page_of(Case(tmp_path, shared)).html
    draw = random.Random(2)
    for pictures in shared.values():
        draw.shuffle(pictures)
    assert page_of(Case(tmp_path / "again", shared)).html == first


def test_the_page_stays_small_whatever_the_data_set_holds(tmp_path: Path) -> None:
    draw = random.Random(3)
    names = [f"class {i} {'long ' * 40}" for i in range(500)]
    noise = Image.frombytes("RGB", (500, 500), draw.randbytes(750_000))
    noise.save(tmp_path / "noise.jpg", quality=95)

    def picture(seed: int) -> LabelledPicture:
        boxes = []
        for _ in range(80):
            x, y = draw.random() * 0.9, draw.random() * 0.9
            boxes.append(Box(draw.choice(names), x, y, x + draw.random() * 0.1 + 1e-4, y + 0.05))
        one = labelled(tmp_path, seed, boxes, name=f"images/{'n' * 200}{seed}.jpg")
        return dataclasses.replace(one, payload=tmp_path / "noise.jpg", width=500 + seed, height=500 + seed % 7)

    shared = {"train": [picture(i) for i in range(300)], "validation": [picture(300)], "test": [picture(301)]}
    classes = sorted({box.name for pictures in shared.values() for p in pictures for box in p.boxes})
    quarantine = Quarantine()
    for number in range(3000):
        quarantine.leave_out(f"{'deep/' * 50}{number}.jpg", "corrupt_image", "damage " * 100)
    html = page_of(Case(tmp_path, shared, classes=classes, quarantine=quarantine)).html
    assert len(html) < 700_000
    assert html.count("<circle") <= charts.GRID**2


def test_the_rarer_classes_are_summed_up(tmp_path: Path) -> None:
    classes = [
        {"class_id": i, "name": f"c{i}", "boxes": {"train": i, "validation": 1, "test": 0}}
        for i in range(MOST_CLASSES + 10)
    ]
    rows = class_rows(classes)
    assert len(rows) == MOST_CLASSES + 1
    assert rows[0].name == f"c{MOST_CLASSES + 9}"
    assert (rows[-1].name, rows[-1].rest) == ("10 other classes", True)
    assert sum(row.total for row in rows) == sum(sum(entry["boxes"].values()) for entry in classes)
    assert sum(rows[0].shares.values()) == pytest.approx(100)
    assert sum(rows[-1].shares.values()) == 0  # its bar would dwarf all others


def test_codes_come_by_frequency_with_their_first_entries() -> None:
    quarantine = Quarantine()
    for number in range(9):
        quarantine.leave_out(f"{8 - number}.jpg", "corrupt_image", "damaged", deliberate=number > 6)
    quarantine.leave_out("a.xml", "box_outside", "far away", box=4)
    quarantine.remark("b.jpg", "size_mismatch", "twice the size")
    rows = list(code_rows(quarantine, left_out=True))
    assert [(row.code, row.count, row.deliberate) for row in rows] == [("corrupt_image", 9, 2), ("box_outside", 1, 0)]
    assert rows[0].examples == tuple((f"{n}.jpg", "damaged") for n in range(3))
    assert rows[1].examples == (("a.xml, box 4", "far away"),)
    assert [row.code for row in code_rows(quarantine, left_out=False)] == ["size_mismatch"]


def test_the_sheet_shows_every_part_and_class(tmp_path: Path) -> None:
    rare = [dataclasses.replace(CAT, name=f"rare {i}") for i in range(6)]
    shared = {
        "train": [labelled(tmp_path, i, [CAT]) for i in range(60)],
        "validation": [labelled(tmp_path, 100 + i, [rare[i], CAT]) for i in range(6)],
        "test": [labelled(tmp_path, 200 + i, [DOG]) for i in range(20)],
    }
    chosen = chosen_pictures(shared)
    assert len(chosen) == len({id(picture) for _, picture in chosen}) == MOST_PICTURES
    assert Counter(side for side, _ in chosen) == {"train": 9, "validation": 6, "test": 9}
    assert {box.name for _, p in chosen for box in p.boxes} == {"cat", "dog", *(box.name for box in rare)}
    few = {side: pictures[:2] for side, pictures in shared.items()}
    assert len(chosen_pictures(few)) == 6


def test_boxes_are_drawn_where_they_are(tmp_path: Path) -> None:
    picture = labelled(tmp_path, 1, [CAT, DOG], size=(480, 240), name="a/cat and dog.jpg")
    shot = thumbnail(picture, "train", {"cat": 0, "dog": 9})
    assert (shot.width, shot.height, shot.name) == (240, 120, "cat and dog.jpg")
    assert [(outline.colour, outline.path) for outline in shot.outlines] == [
        (0, "M24.0 24.0h96.0v48.0h-96.0z"), (1, "M60.0 30.0h180.0v90.0h-180.0z")
    ]  # fmt: skip
    assert [(label.name, label.colour) for label in shot.labels] == [("cat", 0), ("dog", 1)]
    [label] = thumbnail(labelled(tmp_path, 2, [Box("n" * 40, 0.9, 0, 1, 1)]), "test", {"n" * 40: 0}).labels
    assert (label.name, label.anchor, label.x <= 240, label.y) == ("n" * 15 + "…", "end", True, 12)
    assert shot.alt == "train picture with 1 box of cat and 1 box of dog"
    with Image.open(io.BytesIO(base64.b64decode(shot.data.partition(",")[2]))) as opened:
        assert (opened.format, opened.size) == ("JPEG", (240, 120))


@pytest.mark.parametrize("size", [(3000, 2), (2, 3000), (1, 1), (30, 30)])
def test_a_picture_of_any_shape_is_made_small(size: tuple[int, int], tmp_path: Path) -> None:
    shot = thumbnail(labelled(tmp_path, 1, size=size), "test", {"cat": 0})
    assert max(shot.width, shot.height) == 240
    assert min(shot.width, shot.height) >= 1
    assert len(shot.data) < MOST_BYTES * 4 / 3 + 30


def test_a_payload_that_cannot_be_made_small_leaves_its_boxes_and_words(tmp_path: Path, shared: Shared) -> None:
    for pictures in shared.values():
        for picture in pictures:
            picture.payload.write_bytes(picture_bytes(1)[:20])
    assert not any(shot.data for shot in contact_sheet(shared, {"cat": 0, "dog": 1}))
    page = page_of(Case(tmp_path, shared))
    assert page.named("path")
    assert not page.named("image")


def test_the_charts_bars_hold_every_box(tmp_path: Path) -> None:
    edges = [(0, 0, 1, 1), (0, 0, 0.0001, 1), (0, 0, 1, 0.0001), (0.1, 0.1, 0.15, 0.15), (0.2, 0.2, 0.7, 0.7)]
    pictures = [labelled(tmp_path, 1, [Box("cat", *corners) for corners in edges], size=(100, 50))]
    for chart in (charts.box_sizes(pictures), charts.box_ratios(pictures)):
        assert sum(int(re.search(r": (\d+) box", bar.title)[1]) for bar in chart.bars) == len(edges)  # type: ignore[index]
        for bar in chart.bars:
            assert charts.LEFT <= bar.x < bar.x + bar.width <= charts.RIGHT
            assert charts.TOP <= bar.y < bar.y + bar.height <= charts.BOTTOM + 0.001
    assert charts.box_sizes(pictures).bars[-1].title == "95 to 100%: 1 box"
    assert charts.box_ratios(pictures).bars[-1].title == "6.7 : 1 to 8 : 1: 1 box"
    assert charts.picture_sizes(pictures).summary == "Every picture is 100 \N{MULTIPLICATION SIGN} 50."


def test_many_picture_sizes_are_gathered_and_none_is_lost(tmp_path: Path) -> None:
    one = labelled(tmp_path, 1)
    pictures = [dataclasses.replace(one, width=100 + i, height=4000 - 7 * i) for i in range(400)]
    dots = charts.picture_sizes(pictures).dots
    assert len(dots) < 100
    assert sum(int(dot.title.split(": ")[1].split()[0]) for dot in dots) == 400
    assert all(charts.LEFT <= dot.x <= charts.RIGHT and charts.TOP <= dot.y <= charts.BOTTOM for dot in dots)


def test_the_page_can_be_heard_as_well_as_seen(tmp_path: Path, shared: Shared) -> None:
    page = page_of(Case(tmp_path, shared))
    assert page.named("html") == [{"lang": "en"}]
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in page.named("svg"))
    assert all(heading.get("scope") in ("col", "row") for heading in page.named("th"))
    assert len(page.named("figure")) == len(page.named("figcaption")) == MOST_PICTURES + 3
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert {section["aria-labelledby"] for section in page.named("section")} <= set(identifiers)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_both_colour_schemes_have_contrast_enough(tmp_path: Path, shared: Shared) -> None:
    html = page_of(Case(tmp_path, shared)).html
    schemes = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", html, re.S)]
    assert len(schemes) == 2
    assert schemes[0].keys() == schemes[1].keys()
    pairs = [(ink, ground, 4.5) for ink in ("ink", "soft") for ground in ("page", "card", "warn")]
    pairs += [(mark, "card", 3.0) for mark in ("train", "validation", "test", "mark")] + [("warn-ink", "warn", 4.5)]
    for scheme in schemes:
        for one, other, least in pairs:
            light, dark = sorted((luminance(scheme[one]), luminance(scheme[other])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least, (one, other)


def test_words_are_fit_to_be_shown() -> None:
    assert shown("abcdefghij", 7) == "abc…hij"
    assert len(shown("x" * 1000, 60)) == 60
    assert shown("a\nb\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert sentence("it is so") == "It is so."
    assert sentence("") == ""
    assert (counted(1, "box", "boxes"), counted(1234, "picture")) == ("1 box", "1,234 pictures")
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
