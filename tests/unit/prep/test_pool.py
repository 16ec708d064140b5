import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dropspot.errors import TransientError
from prep.decoding import Decoded, DecodeTask, Undecodable
from prep.pixels import Identity
from prep.pool import LARGEST_BATCH, Crew, Outcome


def decode_all(tasks: Iterable[DecodeTask], workers: int, **settings: Any) -> Iterator[tuple[DecodeTask, Outcome]]:
    with Crew(workers, **settings) as crew:
        yield from crew.decode_all(tasks)


def tasks(count: int) -> list[DecodeTask]:
    return [DecodeTask(number, Path(str(number)), 100, Path("unused")) for number in range(count)]


def outcome(task: DecodeTask) -> Decoded:
    return Decoded(1, 1, True, 1, 1, "", Identity(str(os.getpid()), b"", in_colour=True))


def dies_on_three(task: DecodeTask) -> Outcome:
    if task.number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return outcome(task)


def dies_once(task: DecodeTask) -> Outcome:
    marker = task.stored
    if task.number == 1 and not marker.exists():
        marker.touch()
        os._exit(1)
    return outcome(task)


def hangs_on_two(task: DecodeTask) -> Outcome:
    if task.number == 2:
        time.sleep(60)
    return outcome(task)


def disk_full(task: DecodeTask) -> Outcome:
    raise OSError(28, "No space left on device")


def slow(task: DecodeTask) -> Outcome:
    time.sleep(0.02)
    return outcome(task)


def waits_for_a_colleague(task: DecodeTask) -> Outcome:
    """Answers once two processes have come this far, however long the second takes to start."""
    folder = task.stored.parent
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return outcome(task)


def parent(task: DecodeTask) -> Outcome:
    return Decoded(1, 1, True, 1, 1, "", Identity(str(os.getppid()), b"", in_colour=True))


def no_worker_is_left() -> bool:
    return not [child for child in multiprocessing.active_children() if child.name == "prep-decoder"]


def test_every_task_is_answered_once_by_several_workers(tmp_path: Path) -> None:
    given = [DecodeTask(number, tmp_path / "picture", 100, Path("unused")) for number in range(30)]
    answers = list(decode_all(given, 2, decode_one=waits_for_a_colleague))
    assert sorted(task.number for task, _ in answers) == list(range(30))
    assert len({answer.identity.digest for _, answer in answers if isinstance(answer, Decoded)}) == 2
    assert no_worker_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are spawned")
def test_workers_are_forked_from_one_process_that_is_not_this_one() -> None:
    answers = decode_all(tasks(8), 2, decode_one=parent)
    parents = {answer.identity.digest for _, answer in answers if isinstance(answer, Decoded)}
    assert len(parents) == 1
    assert parents != {str(os.getpid())}


def test_a_crash_costs_one_picture_and_not_the_job() -> None:
    answers = {task.number: answer for task, answer in decode_all(tasks(8), 2, decode_one=dies_on_three)}
    assert sorted(answers) == list(range(8))
    assert answers.pop(3) == Undecodable("corrupt_image", "decoding it crashes the decoder")
    assert all(isinstance(answer, Decoded) for answer in answers.values())


def test_a_picture_whose_worker_died_for_another_reason_gets_a_second_chance(tmp_path: Path) -> None:
    given = [DecodeTask(number, tmp_path / "marker", 100, Path("unused")) for number in range(3)]
    assert all(isinstance(answer, Decoded) for _, answer in decode_all(given, 1, decode_one=dies_once))


def test_a_picture_that_takes_for_ever_is_given_up() -> None:
    started = time.monotonic()
    answers = {t.number: a for t, a in decode_all(tasks(4), 2, decode_one=hangs_on_two, timeout_seconds=3)}
    assert answers.pop(2) == Undecodable("corrupt_image", "decoding it takes longer than 3 seconds")
    assert all(isinstance(answer, Decoded) for answer in answers.values())
    assert time.monotonic() - started < 30


def test_trouble_with_the_disk_ends_the_job() -> None:
    with Crew(1, decode_one=disk_full) as crew, pytest.raises(OSError, match="No space left"):
        list(crew.decode_all(tasks(3)))
    assert no_worker_is_left()


def test_a_consumer_that_stops_early_leaves_no_worker_at_its_tasks() -> None:
    with Crew(2, decode_one=slow) as crew:
        answers = crew.decode_all(tasks(50))
        next(answers)
        answers.close()
        assert no_worker_is_left()
        assert sorted(task.number for task, _ in crew.decode_all(tasks(3))) == [0, 1, 2]
    assert no_worker_is_left()


def test_workers_are_kept_for_later_tasks_and_joined_by_others_where_there_are_more(tmp_path: Path) -> None:
    def workers_of(count: int) -> set[str]:
        answers = crew.decode_all(DecodeTask(n, tmp_path / "picture", 100, Path("unused")) for n in range(count))
        return {answer.identity.digest for _, answer in answers if isinstance(answer, Decoded)}

    with Crew(2, decode_one=waits_for_a_colleague) as crew:
        (tmp_path / "a colleague").touch()
        first = workers_of(1)
        (tmp_path / "a colleague").unlink()
        both = workers_of(30)
        assert (len(first), len(both)) == (1, 2)
        assert first < both
        assert workers_of(30) <= both
    assert no_worker_is_left()


def test_a_worker_that_died_between_two_looks_costs_nothing() -> None:
    with Crew(1, decode_one=outcome) as crew:
        [(_, first)] = crew.decode_all(tasks(1))
        assert isinstance(first, Decoded)
        os.kill(int(first.identity.digest), signal.SIGKILL)
        answers = dict(crew.decode_all(tasks(9)))
        assert {task.number for task in answers} == set(range(9))
        assert all(isinstance(answer, Decoded) for answer in answers.values())
    assert no_worker_is_left()


class _FailsToArrive:
    """Stands for whatever keeps a new process from beginning its work."""

    def __call__(self, task: DecodeTask) -> Outcome:
        raise AssertionError("never called")

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (3,)


class _ArrivesLate:
    """Ends its first processes before they begin, and then decodes."""

    def __init__(self, folder: Path, deaths: int) -> None:
        self.folder, self.deaths = folder, deaths

    def __call__(self, task: DecodeTask) -> Outcome:
        return outcome(task)

    def __reduce__(self) -> tuple[object, tuple[Path, int]]:
        return arrive_late, (self.folder, self.deaths)


def arrive_late(folder: Path, deaths: int) -> _ArrivesLate:
    for number in range(deaths):
        try:
            (folder / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        os._exit(3)
    return _ArrivesLate(folder, deaths)


def test_a_worker_that_ends_before_it_began_is_replaced(tmp_path: Path) -> None:
    answers = list(decode_all(tasks(6), 2, decode_one=_ArrivesLate(tmp_path, 3)))
    assert sorted(task.number for task, _ in answers) == list(range(6))
    assert all(isinstance(answer, Decoded) for _, answer in answers)
    assert no_worker_is_left()


def test_workers_that_do_not_even_begin_end_the_job() -> None:
    with pytest.raises(TransientError, match="before they began"):
        list(decode_all(tasks(2), 2, decode_one=_FailsToArrive()))
    assert no_worker_is_left()


def test_a_crash_or_a_hang_costs_no_picture_that_only_waited() -> None:
    """One worker alone, so that the next picture always waits behind the one at hand."""
    crashed = {t.number: a for t, a in decode_all(tasks(6), 1, decode_one=dies_on_three)}
    assert [number for number, answer in crashed.items() if isinstance(answer, Undecodable)] == [3]
    hung = {t.number: a for t, a in decode_all(tasks(5), 1, decode_one=hangs_on_two, timeout_seconds=1.5)}
    assert [number for number, answer in hung.items() if isinstance(answer, Undecodable)] == [2]
    assert (len(crashed), len(hung)) == (6, 5)
    assert no_worker_is_left()


def test_tasks_are_fetched_only_as_workers_become_free() -> None:
    fetched = 0

    def endless() -> Iterator[DecodeTask]:
        nonlocal fetched
        while True:
            fetched += 1
            yield DecodeTask(fetched, Path(str(fetched)), 100, Path("unused"))

    answers = decode_all(endless(), 2, decode_one=outcome)
    for taken in range(1, 201):
        next(answers)
        assert fetched <= taken + LARGEST_BATCH * (2 * 2 + 1)  # two for each worker, and one to see if there are more
    answers.close()
    assert no_worker_is_left()


def test_without_workers_the_tasks_are_answered_here_and_in_order() -> None:
    answers = list(decode_all(iter(tasks(5)), 0, decode_one=outcome))
    assert [task.number for task, _ in answers] == list(range(5))
    assert {answer.identity.digest for _, answer in answers if isinstance(answer, Decoded)} == {str(os.getpid())}


def test_no_task_needs_no_worker() -> None:
    assert list(decode_all([], 4)) == []
