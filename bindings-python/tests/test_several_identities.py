"""Several identities for one host, by clients whose TLS is Python's: against nginx, which refuses a certificate over HTTP,
and a server of Go's, which does so by an alert."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pulls
import pytest
import requests
from conftest import ROOT, World, listening

import regauth
import regauth.httpx
import regauth.requests
from regauth import _core

Get = Callable[[regauth.Agent, str], int]


def by_httpx(agent: regauth.Agent, url: str) -> int:
    auth, transport = regauth.httpx.RegistryAuth(agent), regauth.httpx.Transport(agent)
    with httpx.Client(auth=auth, transport=transport, timeout=60) as client:
        return client.get(url, headers=pulls.ACCEPT).status_code


def by_async_httpx(agent: regauth.Agent, url: str) -> int:
    async def main() -> int:
        auth, transport = regauth.httpx.RegistryAuth(agent), regauth.httpx.AsyncTransport(agent)
        async with httpx.AsyncClient(auth=auth, transport=transport, timeout=60) as client:
            return (await client.get(url, headers=pulls.ACCEPT)).status_code

    return asyncio.run(main())


def by_requests(agent: regauth.Agent, url: str) -> int:
    with regauth.requests.use(requests.Session(), agent) as session:
        return session.get(url, headers=pulls.ACCEPT, timeout=60).status_code


ADAPTERS = pytest.mark.parametrize("get", [by_httpx, by_async_httpx, by_requests])


@ADAPTERS
def test_the_next_one_after_nginx_refused_one(world_a: World, get: Get) -> None:
    wrong, right = (regauth.load_identity(one.cert, one.key) for one in (world_a.pair("wrong"), world_a.pair()))
    config = world_a.config(identity=None)
    config.host(world_a.registry, identities=[wrong, right])
    assert get(regauth.Agent(config), world_a.url("manifests/one")) == 400
    config.host(world_a.registry, identities=[wrong, right], try_pairs_on_status=True)
    assert get(regauth.Agent(config), world_a.url("manifests/one")) == 200
    assert {record["dn"] for record in world_a.records() if record["status"] == 200} == {pulls.ME}


@pytest.fixture
def go(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its origin, and the directory with the certificates. Of TLS 1.2: in TLS 1.3 a certificate is refused when the request
    is on its way already, and whether a client then reads the alert or sees a reset is a race of its own."""
    program = ROOT / ".tools/bin/go-mtls"
    if not program.is_file():
        why = f"missing: {program}: run tests/servers/install.sh"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    for name in ("good", "other"):
        (tmp_path / name).mkdir()
        files, *_ = _core.mint_buildkitd(["127.0.0.1"], None, 3600, os.urandom(32), str(tmp_path / name), 1234)
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    good = tmp_path / "good"
    line: list[str | Path] = [program, "-addr", address, "-cert", good / "server.pem", "-key", good / "server.key", "-ca", good / "ca.pem"]
    process = subprocess.Popen([*line, "-version", "1.2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        listening(process, int(address.split(":")[1]))
        yield f"https://{address}", tmp_path
    finally:
        process.terminate()
        process.wait(timeout=30)


@ADAPTERS
def test_the_next_one_after_an_alert(go: tuple[str, Path], get: Get) -> None:
    origin, files = go
    pairs = [files / "other/client", files / "good/client"]
    identities = [regauth.load_identity(pair.with_suffix(".pem"), pair.with_suffix(".key")) for pair in pairs]

    def agent(try_pairs: bool) -> regauth.Agent:
        config = regauth.Config().ca(files / "good/ca.pem")
        return regauth.Agent(config.host(origin, identities=identities, try_pairs=try_pairs))

    with pytest.raises(regauth.CertificateRejected) as caught:
        get(agent(False), f"{origin}/v2/demo/app/manifests/one")
    # Which one was shown, and which one was not tried.
    assert f"{pairs[1].with_suffix('.pem')} was not tried; {pairs[0].with_suffix('.pem')} was sent" in caught.value.what
    assert caught.value.hop == "registry" and "try_pairs" in caught.value.remedy
    assert get(agent(True), f"{origin}/v2/demo/app/manifests/one") == 200
