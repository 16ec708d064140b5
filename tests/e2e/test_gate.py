"""Who gets past the gate: the candidate against the champion on the same held-out pictures, and somebody's approval."""

from collections.abc import Callable
from pathlib import Path

import pytest
from deployed import Deployed, wait_for

pytestmark = pytest.mark.e2e

Small = Callable[..., Path]
HASTY = {"base_network": "tiny", "image_shape": 128, "epochs": 1}  # learns next to nothing


def test_a_worse_model_of_changed_data_is_refused_and_the_champion_stays(
    deployed: Deployed, champion: str, small: Small
) -> None:
    before, known = deployed.json("endpoint/champion.json"), deployed.runs("toybox")
    deployed.replace_data(small(41, {"hyperparameters": HASTY, "gate": {"min_map50": 0}}), "toybox")
    run_id = deployed.next_run("toybox", known)
    assert deployed.ended(run_id) == "judged"
    verdict = deployed.json(f"runs/{run_id}/verdict.json")
    assert verdict is not None
    assert (verdict["status"], verdict["decided_by"]) == ("refused", "max_class_drop"), verdict
    assert (verdict["champion"]["run_id"], verdict["champion"]["basis"]) == (champion, "evaluated_again")
    assert verdict["champion"]["map50"] > verdict["map50"]
    assert champion in verdict["rule"]
    assert deployed.json("endpoint/champion.json") == before
    assert deployed.json("endpoint/desired.json")["run_id"] == champion  # type: ignore[index]
    answers = deployed.keys(f"runs/{run_id}/evaluation/champion-raw/")
    pictures = deployed.keys(f"runs/{run_id}/prepared/test/images/")
    assert len(answers) == len(pictures) > 0
    refused = deployed.command("watch", run_id, check=False)
    assert refused.returncode == 1
    assert "was refused" in refused.stderr


@pytest.mark.full
def test_manual_approval_deploys_and_rejection_does_not(deployed: Deployed, champion: str, small: Small) -> None:
    plan = {"hyperparameters": HASTY, "gate": {"min_map50": 0, "max_class_drop": 1, "approval": "manual"}}
    waiting = []
    for seed in (42, 43):
        known = deployed.runs("toybox")
        deployed.replace_data(small(seed, plan), "toybox")
        waiting.append(deployed.next_run("toybox", known))
        assert deployed.ended(waiting[-1]) == "awaiting_approval"
    rejected, approved = waiting
    assert deployed.json("endpoint/desired.json")["run_id"] == champion  # type: ignore[index]
    watched = deployed.command("watch", approved).stdout
    assert f"waits for approval: dropspot approve {approved}" in watched
    listed = deployed.command("runs").stdout
    assert "awaiting approval" in listed

    deployed.command("reject", rejected, "--note", "sees balls everywhere")
    decision = wait_for("the rejection", lambda: deployed.json(f"runs/{rejected}/approval.json"))
    assert (decision["status"], decision["note"]) == ("Rejected", "sees balls everywhere")
    assert "sees balls everywhere" in deployed.command("runs").stdout

    deployed.command("approve")  # the one that waits
    in_service = lambda: (deployed.json("endpoint/champion.json") or {}).get("run_id")  # noqa: E731
    wait_for("the deployment", lambda: in_service() == approved, seconds=180)
    assert deployed.state_of(approved) == "deployed"
    groups = deployed.client("sagemaker").list_model_packages(ModelPackageGroupName="dropspot")
    states = [package["ModelApprovalStatus"] for package in groups["ModelPackageSummaryList"]]
    assert sorted(states) == ["Approved", "Approved", "Rejected"]  # the first champion's is the gate's own
