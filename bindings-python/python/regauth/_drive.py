"""Goes on with a flow up to its next request: looks credentials up, and waits."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._core import Credentials, Exchange, Flow, Send, Wait, is_helper_name

LookUp = Callable[[Credentials], Mapping[str, Any] | None]
"""Gives the keywords of :meth:`Flow.credentials`, or ``None`` where there are no credentials."""

LIMIT = 30
"""Seconds for a helper."""


def next_send(flow: Flow, own: LookUp | None) -> Send | None:
    """The next request to send; ``None`` once the last answer is the application's."""
    woken = threading.Event()
    while True:
        match flow.poll(woken.set):
            case Send() as out:
                return out
            case Credentials() as query:
                look_up(flow, query, own)
            case Wait() as wait:
                woken.wait(seconds_until(wait.until))
                woken.clear()
            case _:
                return None


async def next_send_async(flow: Flow, own: LookUp | None) -> Send | None:
    """The same for a task of asyncio."""
    alarm = Alarm()
    while True:
        match flow.poll(alarm.ring):
            case Send() as out:
                return out
            case Credentials() as query:
                await asyncio.to_thread(look_up, flow, query, own)
            case Wait() as wait:
                await alarm.wait(wait.until)
            case _:
                return None


class Alarm:
    """Wakes a task, from any thread or at a time."""

    def __init__(self) -> None:
        self._loop, self._rung = asyncio.get_running_loop(), asyncio.Event()

    def ring(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, until: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_until(until)):
                await self._rung.wait()
        self._rung.clear()


def seconds_until(time_ms: int) -> float:
    return max(0.0, time_ms / 1000 - time.time())


def fields(out: Send, application: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The header fields of a request: the step's, and those of the application's that go along with its own requests."""
    if out.at_most is not None:  # The library's own request: for a token.
        return [*out.headers, ("Accept-Encoding", "identity")]
    not_along = {"host", "authorization", "cookie", *(name.lower() for name, _ in out.headers)}
    if not out.app_body:
        not_along |= {"content-length", "content-type", "transfer-encoding"}
    return [*out.headers, *(field for field in application if field[0].lower() not in not_along)]


def look_up(asker: Flow | Exchange, query: Credentials, own: LookUp | None) -> None:
    """Answers a step ``Credentials``: by the helper that the configuration names, which may take a while, or ``own``."""
    if query.helper is None:
        asker.credentials(**(own(query) or {}) if own else {})
        return
    name = f"docker-credential-{query.helper}"
    if not is_helper_name(query.helper):
        asker.helper_failed("its name is no name of a program")
        return
    try:
        # No shell, and no path out of a configuration file.
        done = subprocess.run(
            [name, "get"],
            input=(query.helper_url or "").encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
            check=False,
        )
    except FileNotFoundError:
        asker.helper_failed(f"{name} is not installed")
    except subprocess.TimeoutExpired:
        asker.helper_failed(f"{name} did not answer in {LIMIT} s")
    except OSError as error:
        asker.helper_failed(f"{name} cannot be run: {error.strerror}")
    else:
        asker.helper(done.returncode == 0, done.stdout)
