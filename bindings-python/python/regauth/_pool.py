"""Connections of one event loop that wait for their next request, by origin, TLS profile and proxy."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field

from ._core import Link

Key = tuple[str, int, bool]

GRACE = 0.05
"""Seconds that a request waits for a connection in use, where that is not known to be in use for long."""
FIRST = 3.0
"""Seconds that it waits where no connection of the kind has had an answer: the next one resumes the first one's session."""
SHORT = 64 * 1024
"""What is worth waiting for to the end, in bytes of content."""
IDLE = 20.0
"""Seconds after which an idle connection is not used again: servers close them after 60 s and more, some proxies sooner."""


@dataclass
class Slot:
    idle: list[tuple[Link, socket.socket, float]] = field(default_factory=list)
    busy: int = 0
    long: int = 0
    answered: bool = False


@dataclass
class Lease:
    """The right to one connection; given back by :meth:`Pool.leave`."""

    slot: Slot
    long: bool = False


class Pool:
    """Of one event loop; only :meth:`take` waits."""

    def __init__(self, limit: int, patience: float) -> None:
        self._limit, self._patience = limit, patience
        self._slots: defaultdict[Key, Slot] = defaultdict(Slot)
        self._waiting: list[asyncio.Future[None]] = []

    async def take(self, key: Key, pooled: bool) -> tuple[Lease, Link | None, socket.socket | None]:
        """A pooled connection, or after a while leave to make one."""
        slot, begun = self._slots[key], time.monotonic()
        while True:
            while pooled and slot.idle:
                link, sock, since = slot.idle.pop()
                if time.monotonic() - since < IDLE:
                    slot.busy += 1
                    return Lease(slot), link, sock
                sock.close()
            limit = FIRST if not slot.answered else 0.0 if slot.busy == slot.long else GRACE
            if slot.busy >= self._limit:
                limit = self._patience
            left = limit - (time.monotonic() - begun)
            if not pooled or slot.busy == 0 or left <= 0:
                slot.busy += 1
                return Lease(slot), None, None
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await asyncio.wait([waiter], timeout=left)

    def answered(self, lease: Lease, length: int | None) -> None:
        """The head of an answer came on it, with so much content behind it, if that is known."""
        long = not lease.long and (length is None or length > SHORT)
        lease.long |= long
        lease.slot.long += long
        lease.slot.answered = True
        self._tell()

    def leave(self, lease: Lease, link: Link | None, sock: socket.socket | None) -> None:
        """Gives the connection back: with its link where it can serve another request."""
        lease.slot.busy -= 1
        lease.slot.long -= lease.long
        if link is not None and sock is not None:
            lease.slot.answered = True
            lease.slot.idle.append((link, sock, time.monotonic()))
        elif sock is not None:
            sock.close()
        self._tell()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        for slot in self._slots.values():
            for _, sock, _ in slot.idle:
                sock.close()
            slot.idle.clear()
