"""Sums of arrays over the devices of a host and over all hosts, by MXNet's key-value store."""

from collections.abc import Sequence

import mxnet as mx


class Exchange:
    """Adds arrays up. On one device of one host there is nothing to add, and no store.

    Several devices: MXNet's `device` store. Several hosts: `dist_sync`, its parameter server, which answers once every
    host has given its part; with several GPUs on each, the variant that adds those up on the GPUs first.
    """

    def __init__(self, hosts: int, devices: Sequence[mx.Context]) -> None:
        self.parts = hosts * len(devices)
        self._store = mx.kv.create(_kind(hosts, devices)) if self.parts > 1 else None
        self._known: set[str] = set()

    def add_up(self, arrays: dict[str, list[mx.nd.NDArray]]) -> None:
        """Put the sum of each name's arrays, one a device, into its first; all hosts must name the same, in order."""
        if self._store is None:
            return
        for name, parts in arrays.items():
            if name not in self._known:
                self._store.init(name, mx.nd.zeros(parts[0].shape))
                self._known.add(name)
        for place, (name, parts) in enumerate(arrays.items()):
            self._store.push(name, parts, priority=-place)
        for place, (name, parts) in enumerate(arrays.items()):
            self._store.pull(name, out=parts[0], priority=-place)

    def close(self) -> None:
        """Say goodbye to the servers, which waits until all hosts do."""
        mx.nd.waitall()
        self._store = None


def _kind(hosts: int, devices: Sequence[mx.Context]) -> str:
    several_gpus = len(devices) > 1 and devices[0].device_type == "gpu"
    if hosts == 1:
        return "device"
    return "dist_sync_device" if several_gpus else "dist_sync"
