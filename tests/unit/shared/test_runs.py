from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropspot.datasets import Listing, StoredObject, dataset_of, slug
from dropspot.errors import InvalidInputError
from dropspot.runs import Run, RunStatus

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def listing(*keys: str, etag: str = "e") -> Listing:
    return Listing.of("pets", [StoredObject(f"datasets/pets/{key}", etag, 3, WHEN) for key in keys])


def run_of(content: Listing, plan: object = "plan", attempt: str = "", bucket: str = "bucket") -> Run:
    return Run.of("dropspot", bucket, content, plan, attempt)


@given(st.text(max_size=60))
def test_every_name_of_a_run_fits_sagemaker_and_parses_back(dataset: str) -> None:
    run = Run.of("a23456789012345a", "bucket", Listing(dataset, ()), "plan")
    for step in ("prep", "train", "eval", "model", "config"):
        name = run.name(step)
        assert len(name) <= 63
        assert Run.from_name("a23456789012345a", name) == run
    assert Run.from_id("a23456789012345a", run.run_id) == run


def test_the_slug_keeps_what_sagemaker_allows() -> None:
    assert slug("My Pets / 2026!") == "my-pets-2026"
    assert slug("Ж") == "dataset"
    assert len(slug("x" * 99)) == 24
    assert not slug("abcdefghijklmnopqrstuvw-xyz").endswith("-")


def test_the_same_content_and_plan_are_the_same_run() -> None:
    assert run_of(listing("a.jpg", "b.jpg")) == run_of(listing("b.jpg", "a.jpg"))


@pytest.mark.parametrize(
    "other",
    [
        run_of(listing("a.jpg", "c.jpg")),
        run_of(listing("a.jpg", "b.jpg", etag="changed")),
        run_of(listing("a.jpg", "b.jpg"), plan="another"),
        run_of(listing("a.jpg", "b.jpg"), attempt="event-1"),
        run_of(listing("a.jpg", "b.jpg"), bucket="another"),
    ],
)
def test_anything_that_matters_makes_another_run(other: Run) -> None:
    assert other != run_of(listing("a.jpg", "b.jpg"))


def test_the_plan_file_is_no_content() -> None:
    with_plan = listing("a.jpg", "training.json")
    assert run_of(with_plan) == run_of(listing("a.jpg"))
    assert with_plan.plan is not None
    assert listing("training.json").content == ()


@pytest.mark.parametrize("name", ["other-pets-0123456789-train", "dropspot-pets-train", "dropspot-t-0123456789", ""])
def test_a_foreign_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        Run.from_name("dropspot", name)


@pytest.mark.parametrize("run_id", ["../x", "pets", "pets-XYZ", "Pets-0123456789"])
def test_a_foreign_id_is_refused(run_id: str) -> None:
    with pytest.raises(InvalidInputError):
        Run.from_id("dropspot", run_id)


@pytest.mark.parametrize("key", ["datasets/pets.zip", "datasets/", "images/a.jpg", "datasets//a"])
def test_an_object_outside_a_data_sets_folder_is_told_where_to_go(key: str) -> None:
    with pytest.raises(InvalidInputError, match="datasets/<name>/"):
        dataset_of(key)


@pytest.mark.parametrize(
    ("documents", "state"),
    [
        ({"run.json"}, "running"),
        ({"run.json", "prep.json", "train.json"}, "running"),
        ({"prep.json", "failure.json"}, "failed"),
        ({"prep.json", "superseded.json"}, "superseded"),
        ({"eval.json", "verdict.json"}, "judged"),
        ({"verdict.json", "deploy.json"}, "deploying"),
        ({"verdict.json", "deploy.json", "champion.json"}, "deployed"),
        ({"verdict.json", "deploy.json", "overtaken.json"}, "overtaken"),
        ({"verdict.json", "deploy.json", "failure.json"}, "failed"),
    ],
)
def test_a_runs_documents_tell_where_it_stands(documents: set[str], state: str) -> None:
    assert RunStatus.of(documents).state == state
