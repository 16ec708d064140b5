"""Whose model a document names, above all while one model replaces another."""

import json

import pytest
from image_pipeline import NEXT_RUN, RECEIVES, ROWS, RUN, Pipeline, picture

from dropspot import endpoint
from dropspot.answering import attributes_of, variant_of
from dropspot.errors import InvalidInputError
from dropspot.giving_back import DEPLOYMENT_SECONDS
from dropspot.ports import Endpoint
from dropspot.runs import Run
from dropspot.settled import note


def serve(pipeline: Pipeline, variant: str, attributes: str = "") -> None:
    pipeline.services.inference.serve("dropspot-endpoint", variant, lambda image: ROWS, attributes)


def classes(pipeline: Pipeline, **of_runs: list[str]) -> None:
    for run, names in zip((RUN, NEXT_RUN), of_runs.values(), strict=True):
        pipeline.store.put_json(run.key("prepared", "classes.json"), {"classes": names})
    pipeline.store.put_json(endpoint.CHAMPION, {"run_id": RUN.run_id})
    pipeline.store.put_json(endpoint.DESIRED, {"run_id": NEXT_RUN.run_id})


def test_a_container_that_says_whose_model_it_is_is_believed(pipeline: Pipeline) -> None:
    classes(pipeline, champion=["cat", "dog"], desired=["cat", "dog"])
    serve(pipeline, variant_of(["cat", "dog"]), attributes_of(NEXT_RUN))
    pipeline.handle(pipeline.upload(picture()))
    assert pipeline.document()["model"]["run_id"] == NEXT_RUN.run_id


def test_of_equal_classes_the_champion_answers_where_nobody_says_more(pipeline: Pipeline) -> None:
    classes(pipeline, champion=["cat", "dog"], desired=["cat", "dog"])
    serve(pipeline, variant_of(["cat", "dog"]))
    pipeline.handle(pipeline.upload(picture()))
    assert pipeline.document()["model"]["run_id"] == RUN.run_id


def test_other_classes_are_never_read_with_the_champion_s_names(pipeline: Pipeline) -> None:
    classes(pipeline, champion=["cat", "dog"], desired=["dog", "cat"])
    serve(pipeline, variant_of(["dog", "cat"]))
    pipeline.handle(pipeline.upload(picture()))
    document = pipeline.document()
    assert document["model"]["run_id"] == NEXT_RUN.run_id
    assert [found["label"] for found in document["detections"]] == ["dog", "cat"]


def test_an_answer_of_nobody_s_classes_is_tried_again(pipeline: Pipeline) -> None:
    classes(pipeline, champion=["cat"], desired=["dog"])
    serve(pipeline, variant_of(["bird"]))
    assert pipeline.handle(pipeline.upload(picture())) == ["message-0"]


def test_an_answer_of_the_model_of_a_deployment_called_off_waits_and_burns_no_receive(pipeline: Pipeline) -> None:
    classes(pipeline, champion=["cat"], desired=["dog"])
    pipeline.store.put_json(endpoint.DESIRED, {"run_id": RUN.run_id})
    now = pipeline.services.clock.now()
    note(pipeline.store, Endpoint("Updating", RUN.endpoint_config, now, pending=NEXT_RUN.endpoint_config), RUN, now)
    serve(pipeline, variant_of(["dog"]))
    event = pipeline.upload(picture())
    assert pipeline.handle(event, receives=RECEIVES) == []
    [sent] = pipeline.services.queues.sent
    assert (json.loads(sent.body), sent.delay_seconds) == (event, DEPLOYMENT_SECONDS)
    assert pipeline.services.queues.aside == []


def test_a_variant_named_for_its_run_is_understood(pipeline: Pipeline) -> None:
    classes(pipeline, champion=["cat", "dog"], desired=["cat", "dog"])
    serve(pipeline, NEXT_RUN.run_id)
    pipeline.handle(pipeline.upload(picture()))
    assert pipeline.document()["model"]["run_id"] == NEXT_RUN.run_id


@pytest.mark.parametrize("names", [[], ["cat"], ["cat", "dog"], ["été"]])
def test_no_variant_s_name_is_a_run_s_id(names: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        Run.from_id("dropspot", variant_of(names))
