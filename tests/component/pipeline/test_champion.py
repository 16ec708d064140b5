"""The candidate against the champion: on the same held-out pictures, whichever way the events come."""

from collections.abc import Sequence
from typing import Any

import pytest
from road import Road, begun, state

from dropspot.errors import InvalidInputError
from dropspot.ports import JobKind
from dropspot.runs import Run


def successor(road: Road, *, held_out: str = "b.jpg", classes: Sequence[str] = ("cat",)) -> tuple[Run, Run]:
    """Return a champion in service and a candidate of changed data whose training has ended."""
    champion = begun(road)
    road.deploy(champion)
    candidate = next_run(road)
    road.prepare(candidate, held_out=held_out, classes=classes)
    road.command("start_training", candidate, "prep")
    road.train(candidate)
    road.command("start_evaluation", candidate, "train")
    return champion, candidate


def next_run(road: Road) -> Run:
    road.world.clock.advance(100)
    road.upload("pets", **{f"more-{len(road.runs)}.tar.gz": b"new"})
    road.settle(f"datasets/pets/more-{len(road.runs)}.tar.gz")
    return road.runs[-1]


def verdict(road: Road, run: Run) -> Any:
    return road.store.json(run.key("verdict.json"))


def end_champion(road: Road, run: Run, *, good: bool = True, classes: Sequence[int] | None = None) -> None:
    road.answer(run, "champion-raw", good=good, classes=classes)
    road.world.jobs.end(JobKind.TRANSFORM, run.champion_transform_job)


def test_the_first_model_has_no_champion_to_beat(road: Road) -> None:
    run = begun(road)
    road.judge(run)
    assert road.store.json(run.key("eval.json"))["champion"] is None
    assert verdict(road, run)["champion"] is None


def test_the_champion_is_run_over_pictures_that_it_has_not_been_judged_on(road: Road) -> None:
    champion, candidate = successor(road)
    own, again = (road.world.jobs.requests[candidate.name(step)] for step in ("eval", "evalchamp"))
    assert again["ModelName"] == champion.model
    assert again["TransformInput"] == own["TransformInput"]
    assert again["TransformOutput"]["S3OutputPath"] == f"s3://bucket/{candidate.key('evaluation', 'champion-raw')}"
    record = road.store.json(candidate.key("eval.json"))
    assert [request["TransformJobName"] for request in record["transforms"]] == [
        candidate.transform_job,
        candidate.champion_transform_job,
    ]


def test_the_champion_s_own_evaluation_will_do_where_the_pictures_are_the_same(road: Road) -> None:
    champion, candidate = successor(road, held_out="a.jpg")
    assert candidate.champion_transform_job not in road.world.jobs.requests
    road.evaluate(candidate)
    road.command("deploy_model", candidate, "eval")
    compared = verdict(road, candidate)["champion"]
    assert (compared["run_id"], compared["basis"]) == (champion.run_id, "same_pictures")


@pytest.mark.parametrize("order", [("eval", "evalchamp"), ("evalchamp", "eval")])
def test_the_last_transform_to_end_lets_the_gate_decide_once(road: Road, order: tuple[str, str]) -> None:
    _, candidate = successor(road)
    ends = {"eval": road.evaluate, "evalchamp": lambda run: end_champion(road, run)}
    first, last = order
    ends[first](candidate)
    for _ in range(2):
        road.command("deploy_model", candidate, first)
    assert road.store.head(candidate.key("verdict.json")) is None
    ends[last](candidate)
    for step in (last, first, last):
        road.command("deploy_model", candidate, step)
    assert verdict(road, candidate)["champion"]["basis"] == "evaluated_again"
    assert verdict(road, candidate)["status"] == "passed"
    assert len(road.world.bus.of("Endpoint Desired")) == 2  # the champion's, and this one
    assert len(road.world.registry.requests) == 2


@pytest.mark.parametrize("good", [True, False])
def test_no_class_may_be_worse_than_the_champion_s(good: bool) -> None:
    road = Road(plan_defaults=defaults(min_map50=0))
    champion, candidate = successor(road)
    road.evaluate(candidate, good=False)
    end_champion(road, candidate, good=good)
    road.command("deploy_model", candidate, "evalchamp")
    said = verdict(road, candidate)
    assert said["status"] == ("refused" if good else "passed")
    [rule] = [rule for rule in said["rules"] if rule["name"] == "max_class_drop"]
    assert (rule["label"], rule["value"], rule["limit"], rule["passed"]) == ("cat", 0.0, 0.9 if good else 0.0, not good)
    wanted = road.store.json("endpoint/desired.json")["run_id"]
    assert wanted == (champion if good else candidate).run_id
    if good:
        assert said["decided_by"] == "max_class_drop"
        assert said["rule"] == (
            f"AP@0.5 of 0.000 for cat is more than 0.100 below the 1.000 of {champion.run_id}, which is in service"
        )


def defaults(**gate: Any) -> dict[str, Any]:
    from road import PLAN_DEFAULTS

    return PLAN_DEFAULTS | {"gate": PLAN_DEFAULTS["gate"] | gate}


def test_classes_that_are_not_shared_are_listed_and_not_compared(road: Road) -> None:
    champion, candidate = successor(road, classes=("bird", "cat"))
    road.evaluate(candidate)
    end_champion(road, candidate, classes=[7, 0])  # cat is 0 to the champion, and 7 is nothing
    road.command("deploy_model", candidate, "eval")
    said = verdict(road, candidate)
    assert said["champion"]["classes_not_compared"] == {
        "candidate_only": ["bird"],
        "champion_only": [],
        "without_held_out_box": [],
    }
    assert [rule["label"] for rule in said["rules"] if rule["name"] == "max_class_drop"] == ["cat"]
    kept = road.store.json(candidate.key("evaluation", "champion.json"))
    assert (kept["run_id"], kept["map50"]) == (champion.run_id, 1.0)


def test_a_champion_without_a_class_in_common_is_not_evaluated_again(road: Road) -> None:
    _, candidate = successor(road, classes=("bird",))
    assert candidate.champion_transform_job not in road.world.jobs.requests
    road.evaluate(candidate)
    road.command("deploy_model", candidate, "eval")
    said = verdict(road, candidate)
    assert said["champion"]["classes_not_compared"] == {
        "candidate_only": ["bird"],
        "champion_only": ["cat"],
        "without_held_out_box": [],
    }
    assert said["status"] == "passed"


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
@pytest.mark.parametrize("last", ["eval", "evalchamp"])
def test_a_champion_s_evaluation_that_fails_costs_the_fair_comparison_and_not_the_run(
    road: Road, status: str, last: str
) -> None:
    _, candidate = successor(road)
    road.evaluate(candidate)
    road.world.jobs.end(JobKind.TRANSFORM, candidate.champion_transform_job, status, reason="no capacity")
    road.command("deploy_model", candidate, last)
    said = verdict(road, candidate)
    assert (said["status"], said["champion"]["basis"]) == ("passed", "own_pictures")
    assert said["champion"]["says"].endswith("it was not evaluated again: no capacity")
    assert state(road, candidate) != "failed"


def test_a_champion_s_evaluation_that_is_refused_is_struck_off_with_the_reason(road: Road) -> None:
    start = road.world.jobs.start

    def refusing(kind: JobKind, request: dict[str, Any]) -> bool:
        if request.get("TransformJobName", "").endswith("-evalchamp"):
            raise InvalidInputError("SageMaker refused it: limit reached")
        return start(kind, request)

    road.world.jobs.start = refusing  # type: ignore[method-assign]
    _, candidate = successor(road)
    road.evaluate(candidate)
    road.command("deploy_model", candidate, "eval")
    said = verdict(road, candidate)
    assert said["status"] == "passed"
    assert "limit reached" in said["champion"]["says"]


def test_a_candidate_s_failed_evaluation_fails_the_run_and_judges_nothing(road: Road) -> None:
    _, candidate = successor(road)
    end_champion(road, candidate)
    road.command("deploy_model", candidate, "evalchamp")
    road.world.jobs.end(JobKind.TRANSFORM, candidate.transform_job, "Failed", reason="out of memory")
    road.command("deploy_model", candidate, "evalchamp")
    road.command("record_failure", candidate, "eval")
    assert road.store.head(candidate.key("verdict.json")) is None
    assert road.store.json(candidate.key("failure.json"))["message"] == "out of memory"


def test_a_champion_that_came_meanwhile_is_the_one_to_beat_and_that_is_said(road: Road) -> None:
    _, slow = successor(road)
    fast = next_run(road)
    road.prepare(fast, held_out="c.jpg")
    road.command("start_training", fast, "prep")
    road.train(fast)
    road.command("start_evaluation", fast, "train")
    road.evaluate(fast)
    end_champion(road, fast)
    road.command("deploy_model", fast, "eval")
    road.reconcile()
    road.come_up()
    road.reconcile()
    road.evaluate(slow)
    end_champion(road, slow)
    road.command("deploy_model", slow, "eval")
    compared = verdict(road, slow)["champion"]
    assert (compared["run_id"], compared["basis"]) == (fast.run_id, "own_pictures")
    assert "it came into service while the candidate was evaluated" in compared["says"]


def test_another_data_set_s_candidate_is_not_compared_with_the_champion(road: Road) -> None:
    road.deploy(begun(road, "pets"))
    other = begun(road, "blood")
    road.judge(other)
    assert road.store.json(other.key("eval.json"))["champion"] is None
    assert verdict(road, other)["champion"] is None
    assert verdict(road, other)["status"] == "not_served"


def test_an_evaluation_delivered_again_keeps_its_champion_whoever_is_in_service_by_then(road: Road) -> None:
    champion, candidate = successor(road)
    before = road.store.json(candidate.key("eval.json"))
    road.store.put_json(
        "endpoint/champion.json", {"run_id": "pets-9999999999", "dataset": "pets", "created_at": "2030"}
    )
    road.command("start_evaluation", candidate, "train")
    assert road.store.json(candidate.key("eval.json")) == before
    assert before["champion"]["run_id"] == champion.run_id


def test_an_evaluation_that_stopped_half_way_is_resumed(road: Road) -> None:
    start = road.world.jobs.start

    def broken(kind: JobKind, request: dict[str, Any]) -> bool:
        if request.get("TransformJobName", "").endswith("-evalchamp"):
            raise ConnectionError("no answer")
        return start(kind, request)

    road.world.jobs.start = broken  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        successor(road)
    candidate = road.runs[-1]
    road.world.jobs.start = start  # type: ignore[method-assign]
    resume = {"command": "resume_runs", "cause": "event-1"}
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due") == [{"command": "start_evaluation", "job": candidate.training_job}]
    road.command("start_evaluation", candidate, "train")
    road.evaluate(candidate)
    road.call("resume_runs", resume)
    assert len(road.world.bus.of("Step Due")) == 1  # the champion's goes on
    end_champion(road, candidate)
    road.call("resume_runs", resume)
    assert road.world.bus.of("Step Due")[1:] == [{"command": "deploy_model", "job": candidate.transform_job}]


def test_a_champion_whose_files_were_removed_is_nobody_to_beat(road: Road) -> None:
    champion = begun(road)
    road.deploy(champion)
    for key in road.store.keys(champion.key("prepared/")):
        road.store.delete(key)
    candidate = next_run(road)
    road.judge(candidate)
    assert verdict(road, candidate)["champion"] is None
    assert verdict(road, candidate)["status"] == "passed"


@pytest.mark.parametrize(
    ("held_out", "why"), [("a.jpg", ""), ("b.jpg", "; it was not evaluated again: no capacity")], ids=["same", "other"]
)
def test_a_champion_without_an_evaluation_is_said_not_to_be_compared(road: Road, held_out: str, why: str) -> None:
    champion, candidate = successor(road, held_out=held_out)
    road.store.delete(champion.key("evaluation", "evaluation.json"))
    road.evaluate(candidate)
    if held_out == "b.jpg":
        road.world.jobs.end(JobKind.TRANSFORM, candidate.champion_transform_job, "Failed", reason="no capacity")
    road.command("deploy_model", candidate, "eval")
    said = verdict(road, candidate)
    compared = said["champion"]
    assert (said["status"], compared["run_id"], compared["basis"]) == ("passed", champion.run_id, "not_compared")
    assert compared["says"] == f"no comparison took place, since its own evaluation.json is missing{why}"
    assert compared["map50"] is None
    assert not [rule for rule in said["rules"] if rule["name"] == "max_class_drop"]
    assert road.store.head(candidate.key("evaluation", "champion.json")) is None
    assert "no comparison took place" in road.store.read(candidate.key("evaluation", "evaluation.html")).body.decode()


def test_a_class_without_a_held_out_box_is_listed_and_not_compared(road: Road) -> None:
    champion = begun(road)
    road.judge(champion)
    candidate = next_run(road)
    for run in (champion, candidate):
        road.prepare(run, classes=("cat", "dog"), held_out="a.jpg")
        truth = road.store.json(run.key("prepared", "test", "truth.json"))
        truth["images"]["a.jpg"]["boxes"].pop()  # the dog
        road.store.put_json(run.key("prepared", "test", "truth.json"), truth)
    road.store.put_json("endpoint/champion.json", road.store.json("endpoint/desired.json"))
    scored = road.store.json(champion.key("evaluation", "evaluation.json"))
    scored["classes"].append(scored["classes"][0] | {"class_id": 1, "label": "dog", "ap50": None})
    road.store.put_json(champion.key("evaluation", "evaluation.json"), scored)
    road.command("start_training", candidate, "prep")
    road.train(candidate)
    road.command("start_evaluation", candidate, "train")
    road.evaluate(candidate)
    road.command("deploy_model", candidate, "eval")
    said = verdict(road, candidate)
    assert said["champion"]["classes_not_compared"]["without_held_out_box"] == ["dog"]
    assert [rule["label"] for rule in said["rules"] if rule["name"] == "max_class_drop"] == ["cat"]


def test_the_page_lies_beside_the_scores_with_its_pictures_or_without(road: Road) -> None:
    champion, candidate = successor(road)
    road.evaluate(candidate, good=False)
    road.store.delete(candidate.key("prepared", "test", "images", "b.jpg"))
    end_champion(road, candidate)
    road.command("deploy_model", candidate, "eval")
    stored = road.store.read(candidate.key("evaluation", "evaluation.html"))
    assert stored.content_type.startswith("text/html")
    page = stored.body.decode()
    assert f"Run {candidate.run_id}" in page
    assert champion.run_id in page
    assert "../prepared/test/images/b.jpg" in page
    assert "missed: cat" in page
