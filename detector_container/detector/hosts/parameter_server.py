"""MXNet's own parameter server: a scheduler on the first host, a server on each, as processes beside the training.

MXNet runs the server inside `import mxnet`, by what the environment says; run as a module, this file is such a process.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, MutableMapping

from detector.hosts.cluster import Cluster, address_of

PORT = 7071  # of the scheduler, on the first host's address; all others are found by MXNet
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_END_SECONDS = 15  # that a server may take to end after the last training has said goodbye


class ParameterServer:
    """Its processes on this host, from their start on; `lost` is called, on a thread, where one ends too early."""

    def __init__(self, cluster: Cluster, lost: Callable[[str], None]) -> None:
        self._ending = False
        self._lost = lost
        environment = os.environ | _shared(cluster) | {"OMP_NUM_THREADS": "1"}
        roles = ("scheduler", "server") if cluster.place == 0 else ("server",)
        # They inherit the mask: a signal for the whole group is the training's to answer, who needs them for that
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._processes = [
                subprocess.Popen(
                    [sys.executable, "-m", "detector.hosts.parameter_server"],
                    env=environment | {"DMLC_ROLE": role},
                    stdin=subprocess.PIPE,  # its end is this process's end
                )
                for role in roles
            ]
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for role, process in zip(roles, self._processes, strict=True):
            threading.Thread(target=self._watch, args=(role, process), daemon=True).start()

    def _watch(self, role: str, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        if code and not self._ending:  # by itself it ends when every host has given up its store
            self._lost(f"the parameter server's {role} process ended with exit code {code}")

    def wait(self) -> None:
        """Wait until its processes have ended, as they do once every host has given up its store."""
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)

    def kill(self) -> None:
        """End what is left of it."""
        self._ending = True
        for process in self._processes:
            process.kill()


def become_worker(cluster: Cluster, env: MutableMapping[str, str] = os.environ) -> None:
    """Tell MXNet, which must not have been imported yet, that this process trains with those servers."""
    env.update(_shared(cluster) | {"DMLC_ROLE": "worker"})


def _shared(cluster: Cluster) -> dict[str, str]:
    count = str(len(cluster.hosts))
    return {
        "DMLC_PS_ROOT_URI": address_of(cluster.first),
        "DMLC_PS_ROOT_PORT": str(PORT),
        "DMLC_NODE_HOST": address_of(cluster.current),
        "DMLC_NUM_WORKER": count,
        "DMLC_NUM_SERVER": count,
    }


def _end_with_the_training() -> None:
    os.read(sys.stdin.fileno(), 1)  # unbuffered: at its end the interpreter takes the buffer's lock
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_training, daemon=True).start()
    import mxnet  # noqa: F401 - ends with the last training
