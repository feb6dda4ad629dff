"""Figures, beside the peers in the same run, by ``make bench-python``; no test. Times are the best of several.

What each adapter needs for the pull of an image, manifest, config and three layers, is counted by nginx.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import httpx
import pulls
import requests
import test_aio
import test_cli
import test_httpx
import test_requests
from conftest import World, program, start

import regauth
import regauth.aio
import regauth.httpx
import regauth.requests

SIZE = 64 << 20
ROUNDS = 5


def warm_authorize(agent: regauth.Agent, url: str) -> float:
    """Nanoseconds: method and URL in, the header's value out."""
    assert agent.authorize("GET", url)
    authorize = agent.authorize
    count = 2000  # Short enough to be undisturbed now and then on a busy machine.
    loop = min(timeit.repeat("pass", number=count, repeat=400))
    names = {"authorize": authorize, "url": url}
    best = min(timeit.repeat("authorize('GET', url)", globals=names, number=count, repeat=400))
    return (best - loop) / count * 1e9


async def push(world: World, session: regauth.aio.Session) -> str:
    content = os.urandom(1 << 20) * (SIZE >> 20)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    begun = await session.request("POST", world.url("blobs/uploads/"), content=b"")
    await begun.read()
    location = begun.head["location"]
    url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
    put = await session.request("PUT", url, content=content, by=begun.referrer, hop="upload")
    await put.read()
    assert put.status == 201, put.status
    return digest


async def best(download: Callable[[], Awaitable[int]]) -> tuple[float, float]:
    """MB/s of the best of several rounds, and its seconds of processor time for each gigabyte."""
    rates, costs = [], []
    for _ in range(ROUNDS):
        begun, used = time.perf_counter(), time.process_time()
        assert await download() == SIZE
        rates.append(SIZE / 1e6 / (time.perf_counter() - begun))
        costs.append((time.process_time() - used) / (SIZE / 1e9))
    return max(rates), min(costs)


async def downloads(world: World, agent: regauth.Agent) -> dict[str, tuple[float, float]]:
    pair = world.pair()
    context = ssl.create_default_context(cafile=str(world.ca))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_cert_chain(pair.cert, pair.key)
    session = regauth.aio.Session(agent)
    digest = await push(world, session)
    url = world.url(f"blobs/{digest}")
    transport, auth = regauth.httpx.AsyncTransport(agent), regauth.httpx.RegistryAuth(agent)
    client = httpx.AsyncClient(auth=auth, transport=transport, timeout=60)
    plain = httpx.AsyncClient(verify=context, timeout=60)
    other = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), read_bufsize=256 * 1024)

    def header() -> dict[str, str]:
        return {"Authorization": agent.authorize("GET", url) or ""}

    async def ours() -> int:
        count = 0
        async with await session.get(url) as response:
            async for chunk in response:
                count += len(chunk)
        return count

    async def by_httpx(which: httpx.AsyncClient, headers: dict[str, str]) -> int:
        count = 0
        async with which.stream("GET", url, headers=headers) as response:
            async for chunk in response.aiter_raw():
                count += len(chunk)
        return count

    async def by_aiohttp() -> int:
        count = 0
        async with other.get(url, headers=header()) as response:
            async for chunk in response.content.iter_any():
                count += len(chunk)
        return count

    found = {
        "regauth.aio": await best(ours),
        "httpx": await best(lambda: by_httpx(plain, header())),
        "httpx with regauth": await best(lambda: by_httpx(client, {})),
        "aiohttp": await best(by_aiohttp),
    }
    for closing in (session.aclose(), client.aclose(), plain.aclose(), other.close()):
        await closing
    return found


async def by_aio(world: World) -> None:
    async with regauth.aio.Session(regauth.Agent(world.config())) as session:
        await test_aio.pull(session, world)


def by_httpx(world: World) -> None:
    agent = regauth.Agent(world.config())
    auth, transport = regauth.httpx.RegistryAuth(agent), regauth.httpx.Transport(agent)
    with httpx.Client(auth=auth, transport=transport, timeout=60) as client:
        test_httpx.pull(client, world)


def by_requests(world: World) -> None:
    with regauth.requests.use(requests.Session(), regauth.Agent(world.config())) as session:
        test_requests.pull(session, world)


def by_command(world: World) -> None:
    with tempfile.TemporaryDirectory() as directory:
        line = [sys.executable, "-m", "regauth", "pull", world.image, "-o", f"{directory}/out", *test_cli.arguments(world)]
        subprocess.run(line, input=world.password, text=True, stdout=subprocess.DEVNULL, check=True)


PULLS: dict[str, Callable[[World], None]] = {
    "regauth.aio, 3 blobs at a time": lambda world: asyncio.run(by_aio(world)),
    "regauth.httpx, one at a time": by_httpx,
    "regauth.requests, one at a time": by_requests,
    "regauth pull, 3 at a time": by_command,
}


def timings(world: World) -> None:
    agent = regauth.Agent(world.config())
    found = asyncio.run(downloads(world, agent))
    print(f"warm authorise: {warm_authorize(agent, world.url('manifests/one')):.0f} ns")
    for name, (rate, cost) in found.items():
        print(f"{name}: {rate:.0f} MB/s, {cost:.2f} s of CPU for 1 GB, {SIZE >> 20} MiB blob")
    ours = found["regauth.aio"][0]
    print(f"regauth.aio : httpx = {ours / found['httpx'][0]:.2f}, : aiohttp = {ours / found['aiohttp'][0]:.2f}")


def in_world(where: Path, scenario: str, do: Callable[[World], None]) -> None:
    world = start(where, scenario)
    try:
        do(world)
    finally:
        assert world.process.stdin
        world.process.stdin.close()
        world.process.wait(timeout=30)


def main() -> None:
    where = program()
    if where is None:
        sys.exit("bench: run tests/servers/install.sh first")
    in_world(where, "A", timings)
    for name, pull in PULLS.items():
        for scenario in "ABC":

            def counted(world: World) -> None:
                pull(world)
                print(f"{name}: {pulls.check(world)}")

            in_world(where, scenario, counted)


if __name__ == "__main__":
    main()
