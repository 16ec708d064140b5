"""`dropspot evaluate` against a server that answers what it is told to."""

import json
from pathlib import Path
from typing import Any

import pytest
from alone_doubles import model_folder, prepared_data, stand_in, stand_in_server, write
from rich.console import Console

from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot_cli.evaluating import evaluate
from dropspot_cli.project import Project

FIRST = [0, 0.9, 0.1, 0.1, 0.5, 0.5]
SECOND = [1, 0.8, 0.6, 0.1, 0.9, 0.5]
PERFECT: dict[str, Any] = {"a.jpg": (200, {"prediction": [FIRST]}), "b.jpg": (200, {"prediction": [FIRST, SECOND]})}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return prepared_data(tmp_path / "data")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "run" / "model")


def told(screen: Console) -> str:
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_a_perfect_model_scores_one_and_the_scores_lie_beside_it(
    data: Path, model: Path, tmp_path: Path, screen: Console
) -> None:
    project = stand_in_server(tmp_path / "checkout", PERFECT)
    evaluation = evaluate(project, model, data, None, screen)
    assert (evaluation.map50, evaluation.map50_voc07, evaluation.boxes, evaluation.images) == (1.0, 1.0, 3, 2)
    document = json.loads((model.parent / "evaluation.json").read_text())
    assert document == evaluation.document
    page = (model.parent / "evaluation.html").read_text()
    assert f"The model in {model}" in page
    assert "The worst pictures" not in page
    measured = {"class_id": 1, "label": "cube", "boxes": 1, "ap50": 1.0, "ap50_voc07": 1.0}
    assert document["classes"][1].items() >= measured.items()
    shown = [line.split() for line in told(screen).splitlines()]
    assert ["ball", "2", "1.000", "1.000", "1.000", "0.900", "1.000", "1.000"] in shown
    said = "mAP@0.5 1.000 (all-point), 1.000 (VOC07); mAP@.5:.95 1.000 (COCO), over 3 boxes in 2 held-out pictures"
    assert said in told(screen)


def test_a_missed_box_costs_its_class(data: Path, model: Path, tmp_path: Path, screen: Console) -> None:
    project = stand_in_server(tmp_path / "checkout", PERFECT | {"b.jpg": (200, {"prediction": [SECOND]})})
    evaluation = evaluate(project, model.parent, data / "prepared", tmp_path / "mine.json", screen)
    assert [one.curve.ap for one in evaluation.classes] == [0.5, 1.0]
    assert evaluation.map50 == 0.75
    assert "missed: ball" in (tmp_path / "mine.html").read_text()
    assert json.loads((tmp_path / "mine.json").read_text())["map50"] == 0.75
    assert not (model.parent / "evaluation.json").exists()


def test_an_earlier_evaluation_is_replaced_and_nothing_else_is(
    data: Path, model: Path, tmp_path: Path, screen: Console
) -> None:
    project = stand_in_server(tmp_path / "checkout", PERFECT)
    target = tmp_path / "mine.json"
    write(target, {"schema": "dropspot/evaluation/1", "map50": 0})
    evaluate(project, model, data, target, screen)
    assert json.loads(target.read_text())["map50"] == 1.0
    for text in ("{}", "thesis", '["dropspot/evaluation/1"]'):
        target.write_text(text)
        with pytest.raises(InvalidInputError, match=r"is no earlier evaluation: .*not touched"):
            evaluate(project, model, data, target, screen)
        assert target.read_text() == text
    target.unlink()
    page = target.with_suffix(".html")
    page.write_text("thesis")
    with pytest.raises(InvalidInputError, match=r"mine\.html is no earlier evaluation: .*not touched"):
        evaluate(project, model, data, target, screen)
    assert page.read_text() == "thesis"
    with pytest.raises(InvalidInputError, match="where the page would go"):
        evaluate(project, model, data, page, screen)
    with pytest.raises(InvalidInputError, match="absent is no folder"):
        evaluate(project, model, data, tmp_path / "absent" / "x.json", screen)


def test_a_picture_that_the_server_refuses_is_named(data: Path, model: Path, tmp_path: Path, screen: Console) -> None:
    project = stand_in_server(tmp_path / "checkout", PERFECT | {"b.jpg": (400, {"error": "the data is not a picture"})})
    with pytest.raises(InvalidInputError, match=r"the server refused .*images/b\.jpg: the data is not a picture"):
        evaluate(project, model, data, None, screen)
    assert not (model.parent / "evaluation.json").exists()


def test_a_server_that_fails_is_no_fault_of_the_pictures(
    data: Path, model: Path, tmp_path: Path, screen: Console
) -> None:
    project = stand_in_server(tmp_path / "checkout", PERFECT | {"b.jpg": (500, {"error": "inference failed"})})
    with pytest.raises(TransientError, match="inference failed"):
        evaluate(project, model, data, None, screen)


def test_a_server_that_does_not_start_tells_why(data: Path, model: Path, tmp_path: Path, screen: Console) -> None:
    script = 'echo "[2026-11-22 ERROR 5] the model in $DROPSPOT_ML_ROOT/model cannot be served: broken"; exit 1'
    project = stand_in(tmp_path / "checkout", "detector-serve", script)
    with pytest.raises(InvalidInputError) as caught:
        evaluate(project, model, data, None, screen)
    assert str(caught.value) == f"the model in {model} cannot be served: broken"


def test_model_and_data_of_different_classes_do_not_belong_together(
    data: Path, tmp_path: Path, screen: Console
) -> None:
    other = model_folder(tmp_path / "other", num_classes=3)
    with pytest.raises(InvalidInputError, match=r"knows 3 classes, the data in .* have 2: they don't belong together"):
        evaluate(stand_in_server(tmp_path / "checkout", PERFECT), other, data, None, screen)


@pytest.mark.parametrize("truth", ['{"images": {}}', '{"images": {"a.jpg": {}}}', "[]", "{", '{"images": []}'])
def test_held_out_pictures_that_nobody_can_read_are_one_sentence(
    truth: str, data: Path, model: Path, tmp_path: Path, screen: Console
) -> None:
    (data / "prepared" / "test" / "truth.json").write_text(truth)
    with pytest.raises(InvalidInputError, match=r"truth\.json") as caught:
        evaluate(stand_in_server(tmp_path / "checkout", PERFECT), model, data, None, screen)
    assert "\n" not in str(caught.value)


def test_without_the_environment_it_says_what_to_do(data: Path, model: Path, tmp_path: Path, screen: Console) -> None:
    with pytest.raises(NotFoundError, match=r"\.envs/detector-serve/bin/python is missing: run `make setup` first"):
        evaluate(Project(tmp_path), model, data, None, screen)
