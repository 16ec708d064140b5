import pytest

from dropspot_cli.metric_lines import Epoch, EpochReader

# as the built-in algorithm logs them, and as its regular expressions in the API's documentation read them
LOG = """[11/22/2026 19:00:00 INFO 140] #quality_metric: host=algo-1, epoch=0, batch=7 train cross_entropy <loss>=(1.25)
[11/22/2026 19:00:00 INFO 140] #quality_metric: host=algo-1, epoch=0, batch=7 train smooth_l1 <loss>=(0.5)
[11/22/2026 19:00:00 INFO 140] #progress_metric: host=algo-1, completed 50 % of epochs
[11/22/2026 19:00:01 INFO 140] #quality_metric: host=algo-1, epoch=0, validation mAP <score>=(0.25)
#quality_metric: host=algo-1, epoch=1, batch=7 train smooth_l1 <loss>=0.125
#quality_metric: host=algo-1, epoch=1, batch=7 train cross_entropy <loss>=0.5
#quality_metric: host=algo-1, epoch=1, validation mAP <score>=0.75
"""


def read(log: str) -> list[Epoch]:
    reader = EpochReader()
    return [epoch for epoch in map(reader.feed, log.splitlines()) if epoch]


def test_an_epoch_is_complete_with_its_score_and_adds_both_losses() -> None:
    assert read(LOG) == [Epoch(0, 1.75, 0.25), Epoch(1, 0.625, 0.75)]


def test_the_last_loss_of_an_epoch_counts() -> None:
    line = "#quality_metric: host=algo-1, epoch=0, batch={} train smooth_l1 <loss>=({})\n"
    score = "#quality_metric: host=algo-1, epoch=0, validation mAP <score>=(0.5)\n"
    assert read(line.format(1, 9) + line.format(2, 3) + score) == [Epoch(0, 3.0, 0.5)]


@pytest.mark.parametrize("line", ["", "epoch=0, validation mAP", "#quality_metric: host=algo-1, epoch=0, train mAP"])
def test_other_lines_say_nothing(line: str) -> None:
    assert EpochReader().feed(line) is None


def test_a_score_without_losses_still_counts() -> None:
    assert read("#quality_metric: host=algo-1, epoch=4, validation mAP <score>=(0.5)") == [Epoch(4, None, 0.5)]
