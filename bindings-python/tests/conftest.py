"""Real servers for the tests: ``tests/servers`` of this repository, one world a scenario."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

import regauth

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Pair:
    cert: Path
    key: Path


@dataclass
class World:
    """nginx in front of distribution v3 and a token service; ``records`` is nginx's own log."""

    scenario: str
    about: dict[str, Any]
    process: subprocess.Popen[str]

    @property
    def registry(self) -> str:
        return f"https://{self.about['registry']}"

    @property
    def token(self) -> str:
        return f"https://{self.about['token_host']}"

    @property
    def blobs(self) -> str:
        return f"https://{self.about['blob_host']}"

    @property
    def image(self) -> str:
        return f"{self.about['registry']}/{self.about['repository']}:one"

    @property
    def ca(self) -> Path:
        return Path(self.about["ca"])

    @property
    def user(self) -> str:
        return cast(str, self.about["user"])

    @property
    def password(self) -> str:
        return cast(str, self.about["password"])

    def pair(self, name: str = "client") -> Pair:
        return Pair(Path(self.about[name]["cert"]), Path(self.about[name]["key"]))

    def url(self, rest: str) -> str:
        return f"{self.registry}/v2/{self.about['repository']}/{rest}"

    def config(self, *, identity: str | None = "client", token_pair: bool = True) -> regauth.Config:
        """What a pull of this world needs."""
        config = regauth.Config().ca(self.ca)
        if identity:
            pair = self.pair(identity)
            config.identity(self.registry, pair.cert, pair.key)
        if self.scenario == "B" and token_pair:
            config.pair(self.registry, token=self.token, identity=True)
        if self.scenario == "paired":
            config.pair(self.registry, storage=self.blobs, identity=True)
        return config.credentials(self.registry, user=self.user, password=self.password)

    def ask(self, question: str) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def records(self) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], self.ask("records"))


def program() -> Path | None:
    """The program that starts worlds, built by cargo if it has to be."""
    named = os.environ.get("REGAUTH_WORLD")
    if named:
        return Path(named)
    # As `make test` builds the workspace, so that nothing is built twice.
    line = "cargo build --quiet --workspace --features server,mint --example world --message-format json"
    built = subprocess.run(
        line.split(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    for line in built.stdout.splitlines():
        executable = json.loads(line).get("executable")
        if executable:
            return Path(executable)
    return None


@pytest.fixture(scope="session")
def world_program() -> Path:
    needed = ["nginx", "registry-v3"]
    path = os.environ["PATH"].split(os.pathsep) + ["/usr/sbin", str(ROOT / ".tools/bin")]
    missing = [name for name in needed if not any(Path(folder, name).is_file() for folder in path)]
    found = program() if not missing else None
    if missing or found is None:
        why = f"missing: {', '.join(missing) or 'the world program'}: run tests/servers/install.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return found


def start(program: Path, scenario: str) -> World:
    process = subprocess.Popen([program, scenario], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the world ended at once"
    return World(scenario, json.loads(line), process)


def running(program: Path, scenario: str) -> Iterator[World]:
    world = start(program, scenario)
    try:
        yield world
    finally:
        assert world.process.stdin
        world.process.stdin.close()
        world.process.wait(timeout=30)


@pytest.fixture(params=["A", "B", "C", "paired"])
def world(request: pytest.FixtureRequest, world_program: Path) -> Iterator[World]:
    yield from running(world_program, request.param)


@pytest.fixture
def redirecting() -> Iterator[str]:
    """The origin of a server that answers everything with 302 to itself: Caddy."""
    caddy = shutil.which("caddy") or ""
    if not caddy:
        why = "missing: caddy: run tests/servers/install.sh"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    line = [caddy, "respond", "--listen", f"127.0.0.1:{port}", "--status", "302", "--header", f"Location: {origin}/elsewhere"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        listening(process, port)
        yield origin
    finally:
        process.terminate()
        process.wait(timeout=30)


def listening(process: subprocess.Popen[Any], port: int) -> None:
    """Waits until a server does."""
    until = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.01)


@pytest.fixture
def world_a(world_program: Path) -> Iterator[World]:
    yield from running(world_program, "A")


@pytest.fixture
def world_b(world_program: Path) -> Iterator[World]:
    yield from running(world_program, "B")


@pytest.fixture
def world_c(world_program: Path) -> Iterator[World]:
    yield from running(world_program, "C")
