"""A training's time with the other hosts, from meeting them to parting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from detector.channels.named_pipe import StoppedError
from detector.hosts.cluster import Cluster
from detector.hosts.parameter_server import ParameterServer, become_worker
from detector.hosts.peers import Alone, Peers, meet


@contextmanager
def joined(cluster: Cluster, stop: Callable[[], bool], lost: Callable[[str], None]) -> Iterator[Peers]:
    """Meet the job's other hosts and start MXNet's parameter server with them; nothing of that for a single host.

    MXNet must be imported within. An error within is told to the other hosts. `lost` is called, on a thread, with a
    sentence when another host has failed; it must end the process.
    """
    if len(cluster.hosts) == 1:
        yield Alone()
        return
    peers = meet(cluster, lost, stop)
    server = None

    def servers_lost(sentence: str) -> None:
        peers.fail(sentence)
        lost(sentence)

    try:
        server = ParameterServer(cluster, servers_lost)
        become_worker(cluster)
        yield peers
        server.wait()
        peers.close()
    except StoppedError:  # every host's: see job.py
        peers.close()
        raise
    except Exception as error:
        peers.fail(str(error) or type(error).__name__)
        raise
    finally:
        if server is not None:
            server.kill()
