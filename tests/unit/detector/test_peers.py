"""Hosts that tell each other things: threads of one process stand for them here."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from detector.channels.named_pipe import StoppedError
from detector.hosts.cluster import ADDRESSES, Cluster, address_of
from detector.hosts.peers import PORT, Connected, meet
from dropspot.errors import InvalidInputError, TransientError

_NETWORKS = itertools.count(1)
NAMES = ("algo-1", "algo-2", "algo-3")


@pytest.fixture
def own_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network = next(_NETWORKS)
    monkeypatch.setenv(ADDRESSES, ",".join(f"{name}=127.3.{network}.{name[-1]}" for name in NAMES))


@pytest.fixture
def three(own_network: None) -> Iterator[tuple[list[Connected], dict[str, list[str]]]]:
    """Three connected hosts, and what each was told of another's failure."""
    told: dict[str, list[str]] = {name: [] for name in NAMES}
    with ThreadPoolExecutor(3) as pool:
        meetings = [pool.submit(meet, Cluster(NAMES, name), told[name].append, lambda: False, 10) for name in NAMES]
        hosts = [meeting.result() for meeting in meetings]
    yield hosts, told
    for host in hosts:
        host.close()


def at_once(hosts: list[Connected], what: Callable[[Connected], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(what, hosts))


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_every_host_gets_every_value_in_the_hosts_order(three) -> None:
    hosts, _ = three
    for round_ in range(50):
        assert (
            at_once(hosts, lambda host, n=round_: host.gather([n, host.place])) == [[[round_, p] for p in range(3)]] * 3
        )


def test_numbers_arrive_to_the_last_bit(three) -> None:
    hosts, _ = three
    values = [0.1 + 0.2, float("inf"), 1e-320]
    assert at_once(hosts, lambda host: host.gather(values[host.place])) == [values] * 3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failure_reaches_all_others_word_for_word(place: int, three) -> None:
    hosts, told = three
    hosts[place].fail("the disk is full")
    others = [name for name in NAMES if name != NAMES[place]]
    until(lambda: all(told[name] for name in others))
    assert all(told[name] == [f"host {NAMES[place]} failed: the disk is full"] for name in others)
    assert told[NAMES[place]] == []


@pytest.mark.parametrize("place", [0, 2])
def test_a_host_whose_connections_close_has_ended_without_a_word(place: int, three) -> None:
    hosts, told = three
    hosts[place]._closing = True  # a process that dies hears nothing, and the system closes what it has open
    for line in hosts[place]._sockets.values():
        line.shutdown(socket.SHUT_RDWR)
    others = [name for name in NAMES if name != NAMES[place]]
    until(lambda: all(told[name] for name in others))
    assert all(told[name] == [f"host {NAMES[place]} ended without a word"] for name in others)


def test_parting_is_no_failure(three) -> None:
    hosts, told = three
    for host in hosts:
        host.close()
    time.sleep(0.2)
    assert told == {name: [] for name in NAMES}


def test_a_host_that_does_not_come_is_named(own_network: None) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(meet, Cluster(NAMES, "algo-1"), print, lambda: False, 1)
        second = pool.submit(meet, Cluster(NAMES, "algo-2"), print, lambda: False, 1)
        with pytest.raises(TransientError, match="hosts that did not come: algo-3"):
            first.result()
        second.result().close()


def test_a_first_host_that_does_not_come_is_named(own_network: None) -> None:
    with pytest.raises(TransientError, match=r"host algo-1 cannot be reached: .*refused"):
        meet(Cluster(NAMES, "algo-2"), print, lambda: False, 0.5)


@pytest.mark.parametrize("name", ["algo-1", "algo-2"])
def test_a_stop_is_heard_while_waiting_for_the_others(name: str, own_network: None) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        meet(Cluster(NAMES, name), print, stop.is_set)


def test_a_stranger_is_turned_away(own_network: None) -> None:
    pair = ("algo-1", "algo-2")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(meet, Cluster(pair, "algo-1"), print, lambda: False, 10)
        time.sleep(0.3)
        with socket.create_connection((address_of("algo-1"), PORT)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n")
            assert stranger.recv(1) == b""
        second = pool.submit(meet, Cluster(pair, "algo-2"), print, lambda: False, 10)
        hosts = [first.result(), second.result()]
    assert at_once(hosts, lambda host: host.gather(host.place)) == [[0, 1]] * 2
    for host in hosts:
        host.close()


def test_the_hosts_come_from_resourceconfig(tmp_path: Path) -> None:
    path = tmp_path / "resourceconfig.json"
    assert Cluster.from_file(path) == Cluster(("algo-1",), "algo-1")
    path.write_text(
        json.dumps({"current_host": "algo-2", "hosts": ["algo-2", "algo-1"], "network_interface_name": "eth0"})
    )
    cluster = Cluster.from_file(path)
    assert (cluster.hosts, cluster.place, cluster.first) == (("algo-1", "algo-2"), 1, "algo-1")


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"hosts": 3, "current_host": "a"}', '{"hosts": ["a"], "current_host": "b"}']
)
def test_a_resourceconfig_without_sense_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "resourceconfig.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"resourceconfig\.json"):
        Cluster.from_file(path)


def test_an_address_is_the_stated_one_or_the_name_servers() -> None:
    assert address_of("algo-1", {ADDRESSES: "algo-1=127.1.1.1,algo-2=127.1.1.2"}) == "127.1.1.1"
    assert address_of("localhost", {}) == "127.0.0.1"
    with pytest.raises(OSError, match=r".+"):
        address_of("no-such-host.invalid", {})
