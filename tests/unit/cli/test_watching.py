import io
from collections.abc import Callable, Iterator

import pytest
import run_documents as road
from rich.console import Console

from dropspot.errors import TransientError
from dropspot.runs import Run
from dropspot.testing import MemoryStore
from dropspot_cli.progress import RunFailedError
from dropspot_cli.watching import Watcher

PREPARED = (
    "10 pictures (7 train, 1 validation, 2 test), 12 boxes, 2 classes; left out: 1 no_annotation, 1 corrupt_image"
)
METRIC = "#quality_metric: host=algo-1, epoch={}, "


class Log:
    """A training log that has its lines at once."""

    def __init__(self, epochs: int) -> None:
        self.lines = [
            METRIC.format(number) + text
            for number in range(epochs)
            for text in ("batch=3 train smooth_l1 <loss>=(1.5)", f"validation mAP <score>=(0.{number + 1})")
        ]

    def new_lines(self) -> Iterator[str]:
        lines, self.lines = self.lines, []
        yield from lines


class Road:
    """The pipeline: at every look one more thing has happened."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.steps:
            self.steps.pop(0)()


def watcher(store: MemoryStore, run: Run, screen: Console, pipeline: Road, epochs: int = 0) -> Watcher:
    return Watcher(
        store,
        run,
        screen,
        open_log=lambda _job: Log(epochs),
        sleep=pipeline.sleep,
        clock=lambda: pipeline.seconds,
        patience=60,
    )


def told(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_a_run_is_told_stage_by_stage(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    pipeline = Road(
        lambda: road.prepared(store, run),
        lambda: road.trained(store, run),
        lambda: road.judged(store, run),
        lambda: road.deployed(store, run),
    )
    ended = watcher(store, run, screen, pipeline, epochs=2).follow()
    assert ended.is_deployed
    lines = [" ".join(line.split()) for line in told(screen).splitlines()]
    assert lines == [
        "Run pets-0123456789",
        f"✓ prepare 12 s {PREPARED} (each is named in s3://data-bucket/runs/pets-0123456789/report/quarantine.jsonl)",
        "epoch 1 loss 1.500 validation mAP 0.100",
        "epoch 2 loss 1.500 validation mAP 0.200",
        "✓ train 2 min 05 s 2 epochs, best validation mAP 0.200",
        "✓ evaluate 8 s mAP@0.5 0.875 on the held-out pictures over 2 boxes",
        "✓ deploy 30 s answers as pets-0123456789",
    ]


def test_a_run_that_has_ended_before_is_told_all_the_same(store: MemoryStore, run: Run, screen: Console) -> None:
    for step in (road.begun, road.prepared, road.trained, road.judged, road.deployed):
        step(store, run)
    watcher(store, run, screen, Road(), epochs=1).follow()
    assert [line.split()[1] for line in told(screen).splitlines()[1:]] == [
        "prepare",
        "1",
        "train",
        "evaluate",
        "deploy",
    ]


def test_a_failure_is_its_sentence_and_its_remedy(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    road.failed(store, run, "prep", "The data set has no usable annotation.")
    with pytest.raises(RunFailedError) as caught:
        watcher(store, run, screen, Road()).follow()
    assert str(caught.value) == (
        "The run pets-0123456789 failed at 'prepare': The data set has no usable annotation."
        " Mend it, then start a new attempt: dropspot retrain pets"
    )


def test_a_refused_model_is_a_failure_with_the_rule(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    road.judged(store, run, "refused", "mAP@0.5 of 0.2 is below the minimum of 0.5")
    with pytest.raises(RunFailedError, match=r"was refused: mAP@0\.5 of 0\.2 is below the minimum of 0\.5\."):
        watcher(store, run, screen, Road()).follow()


def test_a_model_of_another_data_set_ends_well(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    road.judged(store, run, "not_served", "this stack serves the data set toybox")
    assert not watcher(store, run, screen, Road()).follow().is_deployed
    assert "not_served: this stack serves the data set toybox" in told(screen)


def test_a_model_that_waits_for_approval_says_how_to_decide(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    road.awaiting(store, run)
    assert not watcher(store, run, screen, Road()).follow().is_deployed
    assert f"waits for approval: dropspot approve {run.run_id}, or dropspot reject {run.run_id}" in told(screen)


def test_a_rejected_model_ends_with_the_reason(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    road.awaiting(store, run)
    road.decided(store, run, "Rejected", "mixes up cats and dogs")
    watcher(store, run, screen, Road()).follow()
    assert "rejected: mixes up cats and dogs" in told(screen)


def test_superseded_content_is_said(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    store.put_json(run.key("superseded.json"), {})
    assert watcher(store, run, screen, Road()).follow().is_superseded
    assert "the new content has a run of its own" in told(screen)


def test_watching_is_given_up_after_a_long_silence(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    pipeline = Road(lambda: road.prepared(store, run))
    with pytest.raises(TransientError, match=r"Nothing has been heard .* while training: .* `dropspot watch pets-"):
        watcher(store, run, screen, pipeline).follow()
    assert pipeline.seconds == 61


def test_markup_in_a_message_is_printed_as_it_is(store: MemoryStore, run: Run, screen: Console) -> None:
    road.begun(store, run)
    road.failed(store, run, "train", "expected [bold]x[/]")
    with pytest.raises(RunFailedError):
        watcher(store, run, screen, Road()).follow()
    assert "expected [bold]x[/]" in told(screen)
