"""The hosts of a training job, from resourceconfig.json, and where each of them is."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dropspot.errors import InvalidInputError

ADDRESSES = "DROPSPOT_HOST_ADDRESSES"  # `algo-1=127.1.1.1,algo-2=127.1.1.2`, where no name server knows the hosts
_ALONE = "algo-1"


@dataclass(frozen=True, slots=True)
class Cluster:
    """All hosts' names in order, and this one's. The first of them leads."""

    hosts: tuple[str, ...] = (_ALONE,)
    current: str = _ALONE

    @classmethod
    def from_file(cls, path: Path) -> "Cluster":
        """Read resourceconfig.json; one host where there is none. Raises InvalidInputError where it makes no sense."""
        if not path.is_file():
            return cls()
        try:
            document = json.loads(path.read_bytes())
            hosts, current = tuple(sorted({str(name) for name in document["hosts"]})), str(document["current_host"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidInputError(f"{path.name} has no hosts and current_host: {error!r}") from error
        if current not in hosts:
            raise InvalidInputError(f"{path.name}: current_host {current!r} is none of the hosts {', '.join(hosts)}")
        return cls(hosts, current)

    @property
    def place(self) -> int:
        return self.hosts.index(self.current)

    @property
    def first(self) -> str:
        return self.hosts[0]


def address_of(host: str, env: Mapping[str, str] = os.environ) -> str:
    """Return a host's IPv4 address; raise OSError where its name isn't known (yet)."""
    stated = dict(entry.split("=", 1) for entry in env.get(ADDRESSES, "").split(",") if "=" in entry)
    return stated.get(host) or socket.gethostbyname(host)
