"""evaluation.html: that it says what the documents say, stands alone, and stays safe whatever things are called."""

import base64
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from unit.shared.scored_scenes import Scenes, generated

from dropspot.evaluation import Evaluation, score
from dropspot.evaluation_page import MOST_ROWS, class_rows, confusion_matrix, evaluation_page, mean_curve, mistakes
from dropspot.worst_pictures import MOST_BYTES, MOST_PICTURES, worst_pictures

EVIL = "<script>alert('x')</script>\" onload=\"x & <b>"
RULES = [
    {"name": "min_map50", "label": "", "value": 0.25, "limit": 0.5, "passed": False, "says": "too low"},
    {"name": "min_boxes", "label": "", "value": 1234, "limit": 1, "passed": True, "says": "enough"},
]


def scored(seed: int = 1, classes: int = 3, *, labels: list[str] | None = None) -> tuple[Evaluation, Scenes]:
    scenes = generated(seed, pictures=30, classes=classes, detections=12)
    return score(labels or [f"class {number}" for number in range(classes)], *scenes), scenes


def pages_pictures(evaluation: Evaluation, scenes: Scenes, size: int = 10) -> Any:
    return worst_pictures(evaluation, scenes[0], lambda name: b"j" * size, "../pictures/{}".format)


def verdict(**changes: Any) -> dict[str, Any]:
    champion = {
        "run_id": "pets-0123456789",
        "says": "it was evaluated again",
        "classes_not_compared": {
            "candidate_only": ["bird"],
            "champion_only": ["fish"],
            "without_held_out_box": ["owl"],
        },
    }
    return {"status": "refused", "rule": "too low", "rules": RULES, "champion": champion} | changes


class Page(HTMLParser):
    """Whether every element is closed in its turn, and what the page would load."""

    VOID = frozenset({"meta", "br", "img", "image", "line", "rect", "polyline", "use"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.elements: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.loaded += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_says_what_the_documents_say() -> None:
    evaluation, scenes = scored()
    champion, _ = scored(2)
    page = evaluation_page(
        "Run pets-9876543210", evaluation.document, pages_pictures(evaluation, scenes), champion.document, verdict()
    )
    parsed = Page(page)
    assert "script" not in parsed.elements
    text = re.sub(r"<[^>]+>", " ", page)
    for figure in (evaluation.map50, evaluation.map50_voc07, evaluation.coco(), champion.map50):
        assert f"{figure:.3f}" in text
    for one in evaluation.classes:
        assert one.label in text
        assert f"{one.curve.ap:.3f}" in text
    assert "it was evaluated again" in text
    assert "bird" in text
    assert "1,234" in text
    assert page.index("✗ broken") < page.index("✓ passed")


def test_the_page_needs_nothing_else() -> None:
    evaluation, scenes = scored()
    loaded = Page(evaluation_page("t", evaluation.document, pages_pictures(evaluation, scenes))).loaded
    assert loaded
    assert all(found.startswith(("data:image/jpeg;base64,", "#picture-")) for found in loaded)
    assert base64.b64decode(loaded[0].partition(",")[2]) == b"j" * 10


def test_pictures_beyond_what_a_page_should_weigh_are_linked_to() -> None:
    evaluation, scenes = scored()
    shown = pages_pictures(evaluation, scenes, size=MOST_BYTES // 3)
    kinds = ["data" if one.source.startswith("data:") else one.source for one in shown]
    assert kinds[:3] == ["data"] * 3
    assert kinds[3:] == [f"../pictures/{one.name}" for one in shown[3:]]


def test_the_worst_pictures_come_first_and_only_those_with_mistakes() -> None:
    evaluation, scenes = scored()
    shown = pages_pictures(evaluation, scenes)
    severities = [evaluation.outcomes[one.name].severity for one in shown]
    assert severities == sorted(severities, reverse=True)
    assert 0 < len(shown) <= MOST_PICTURES
    assert min(severities) > 0
    assert max(one.severity for one in evaluation.outcomes.values()) == severities[0]


def test_names_are_shown_as_they_are_and_run_nothing() -> None:
    evaluation, scenes = scored(labels=[EVIL, "cat", "dog"])
    document = evaluation.document
    page = evaluation_page(EVIL, document, pages_pictures(evaluation, scenes), document, verdict(rule=EVIL))
    parsed = Page(page)
    assert "script" not in parsed.elements
    assert "b" in parsed.elements  # the verdict's own
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("classes", [1, 5, 40, MOST_ROWS + 10])
def test_the_page_bears_any_number_of_classes(classes: int) -> None:
    evaluation, _ = scored(classes=classes)
    page = evaluation_page("t", evaluation.document, [])
    Page(page)
    assert all(page.count(f">{one.label}<") >= 1 for one in evaluation.classes)
    assert ("10 more" in page) is (classes > MOST_ROWS)


def test_an_evaluation_without_anything_to_measure_is_shown_as_that() -> None:
    evaluation = score(["cat"], {}, {})
    page = evaluation_page("t", evaluation.document, [], evaluation.document)
    Page(page)
    assert "\N{EN DASH}" in page


def test_a_row_stands_beside_the_champion_s_and_the_worst_is_first() -> None:
    document = scored()[0].document
    champion = {"classes": [document["classes"][0] | {"ap50": 0.0}]}
    rows = class_rows(document, champion)
    measured = [row.ap50 for row in rows]
    assert measured == sorted(value for value in measured if value is not None)
    [known] = [row for row in rows if row.champion is not None]
    assert (known.label, known.change) == (document["classes"][0]["label"], document["classes"][0]["ap50"])


def test_the_matrix_holds_each_cell_once_and_mistakes_are_between_classes() -> None:
    document = scored()[0].document
    matrix = confusion_matrix(document)
    assert sum(cell.count for row in matrix for cell in row) == sum(c["count"] for c in document["confusion"]["cells"])
    assert [row[place].wrong for place, row in enumerate(matrix)] == [False] * len(matrix)
    counts = [one["count"] for one in mistakes(document)]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(cell.count for row in matrix[:-1] for cell in row[:-1] if cell.wrong)


def test_the_mean_curve_falls_to_nothing_where_the_recall_ends() -> None:
    perfect = {"boxes": 1, "curve": [[recall / 100, 1.0, 0.9] for recall in range(101)]}
    missed = {"boxes": 1, "curve": []}
    assert mean_curve([perfect], 100, 10).startswith("0.0,0.0 1.0,0.0")
    assert mean_curve([perfect, missed], 100, 10).endswith("100.0,5.0")
    assert mean_curve([{"boxes": 0, "curve": []}], 100, 10) == ""
