"""Layer c over asyncio, against nginx and distribution v3."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator

import pulls
import pytest
from conftest import World

import regauth
import regauth.aio


async def pull(session: regauth.aio.Session, world: World) -> None:
    manifest = await (await session.get(world.url("manifests/one"), headers=pulls.ACCEPT)).read()
    three = asyncio.Semaphore(3)

    async def blob(digest: str) -> bytes:
        async with three:
            return await (await session.get(world.url(f"blobs/{digest}"))).read()

    contents = await asyncio.gather(*(blob(one["digest"]) for one in pulls.blobs(manifest)))
    pulls.same(world, manifest, list(contents))


def test_two_pulls_through_every_hop(world: World) -> None:
    async def main() -> None:
        async with regauth.aio.Session(regauth.Agent(world.config())) as session:
            await pull(session, world)
            await pull(session, world)

    asyncio.run(main())
    print("regauth.aio, two pulls,", pulls.check(world, pulls=2))


def test_upload_of_every_kind(world_a: World) -> None:
    """Bytes, a stream that can be sent again, one that cannot: the token is there before the first byte of a body."""
    content = bytes(range(256)) * 4096

    async def pieces() -> AsyncIterator[bytes]:
        yield b""  # That is not its end.
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    async def main() -> None:
        async with regauth.aio.Session(regauth.Agent(world_a.config())) as session:
            for body, length in ((content, None), (pieces, None), (pieces(), len(content))):
                begun = await session.request("POST", world_a.url("blobs/uploads/"), content=b"")
                await begun.read()
                assert begun.status == 202
                digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
                location = begun.head["location"]
                url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
                put = await session.request(
                    "PUT",
                    url,
                    content=body,
                    length=length,
                    by=begun.referrer,
                    hop="upload",
                    headers={"Content-Type": "application/octet-stream"},
                )
                await put.read()
                assert put.status == 201, put.explain()
                back = await session.get(world_a.url(f"blobs/{digest}"))
                assert await back.read() == content

    asyncio.run(main())


def test_a_thousand_tasks_ask_for_one_token(world_a: World) -> None:
    digest = world_a.about["layers"][0]

    async def main() -> None:
        async with regauth.aio.Session(regauth.Agent(world_a.config()), timeout=120) as session:

            async def one() -> int:
                async with await session.request("HEAD", world_a.url(f"blobs/{digest}")) as response:
                    await response.read()
                    return response.status

            statuses = await asyncio.gather(*(one() for _ in range(1000)))
            assert set(statuses) == {200}

    asyncio.run(main())
    records = world_a.records()
    print(len(records), "requests,", len({record["connection"] for record in records}), "connections")
    assert sum(record["token"] for record in records) == 1


def test_a_cancelled_leader_hands_its_duty_on(world_a: World) -> None:
    """The task that asks for the token is cancelled; those that wait for it get one all the same."""

    async def main() -> None:
        async with regauth.aio.Session(regauth.Agent(world_a.config())) as session:

            async def one() -> int:
                response = await session.get(world_a.url("manifests/one"), headers=pulls.ACCEPT)
                await response.read()
                return response.status

            leader = asyncio.create_task(one())
            others = [asyncio.create_task(one()) for _ in range(20)]
            while not any(record["status"] == 401 for record in world_a.records()):
                await asyncio.sleep(0)
            leader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leader
            assert set(await asyncio.gather(*others)) == {200}

    asyncio.run(main())
    assert sum(record["token"] and record["status"] == 200 for record in world_a.records()) in (1, 2)


def test_what_a_server_wants_is_said(world_b: World) -> None:
    async def fails(config: regauth.Config) -> regauth.RegauthError:
        async with regauth.aio.Session(regauth.Agent(config)) as session:
            with pytest.raises(regauth.RegauthError) as caught:
                await (await session.get(world_b.url("manifests/one"), headers=pulls.ACCEPT)).read()
            return caught.value

    error = asyncio.run(fails(world_b.config(token_pair=False)))
    assert isinstance(error, regauth.PolicyDenied)
    assert error.hop == "token" and error.origin == world_b.token
    assert error.line and error.line.startswith("[[pair]]"), error.line
    bare = world_b.config(token_pair=False).pair(world_b.registry, token=world_b.token)
    error = asyncio.run(fails(bare))
    assert isinstance(error, regauth.CertificateRequired) and error.status == 400, repr(error)
    assert error.evidence and error.evidence.shown == "no-pair"
    assert error.hop == "token" and error.origin == world_b.token
    nobody = regauth.Config().credentials("https://127.0.0.1:1", user="a", password="b")

    async def closed() -> regauth.RegauthError:
        async with regauth.aio.Session(regauth.Agent(nobody)) as session:
            with pytest.raises(regauth.NetworkError) as caught:
                await session.get("https://127.0.0.1:1/v2/a/manifests/b")
            return caught.value

    assert asyncio.run(closed()).failure == "connect"


def test_every_hop_goes_through_the_proxy(world_b: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that resolves names: `registry.example` is nowhere else. The policy allows no literal behind a proxy, so that
    the token endpoint, which is one here, is refused; the registry's hop has come through."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
        host, port = world_b.about["registry"].split(":")
        back, forth = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, forth), pump(back, writer))

    async def main() -> regauth.RegauthError:
        async with await asyncio.start_server(serve, sock=listener):
            origin = f"https://localhost.example:{listener.getsockname()[1]}"
            config = regauth.Config().ca(world_b.ca).host(origin, identities=[me], skip_verify=True)
            async with regauth.aio.Session(regauth.Agent(config)) as session:
                with pytest.raises(regauth.RegauthError) as caught:
                    await session.get(f"{origin}/v2/demo/app/manifests/one")
                return caught.value

    me = regauth.load_identity(world_b.pair().cert, world_b.pair().key)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    error = asyncio.run(main())
    assert len(asked) == 1 and asked[0].startswith("CONNECT localhost.example:"), (asked, error)
    assert isinstance(error, regauth.PolicyDenied) and error.hop == "token", repr(error)
    assert "pw" not in str(error)


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
            port = proxy.sockets[0].getsockname()[1]
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@127.0.0.1:{port}")
            async with regauth.aio.Session(regauth.Agent(regauth.Config())) as session:
                with pytest.raises(regauth.NetworkError, match=f"the proxy 127.0.0.1:{port} answered 407") as caught:
                    await session.get("https://reg.example/v2/")
                assert caught.value.fault == "network" and "HTTPS_PROXY" in caught.value.remedy

    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    asyncio.run(main())


def test_signer_keys_are_asked_and_never_loaded(world_a: World) -> None:
    """The key is openssl's: what is signed goes through a process."""
    import subprocess

    pair, asked = world_a.pair(), []

    def sign(scheme: int, message: bytes) -> bytes:
        asked.append(scheme)
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(pair.key)], input=message, stdout=subprocess.PIPE, check=True
        )
        return done.stdout

    # ecdsa_secp256r1_sha256
    me = regauth.Identity.with_signer(pair.cert.read_bytes(), sign, schemes=[0x0403], label="hsm")
    config = regauth.Config().ca(world_a.ca).host(world_a.registry, identities=[me])
    config.credentials(world_a.registry, user=world_a.user, password=world_a.password)

    async def main() -> None:
        async with regauth.aio.Session(regauth.Agent(config)) as session:
            await pull(session, world_a)

    asyncio.run(main())
    pulls.check(world_a)
    assert asked == [0x0403], "once, as the other connections resume the first one's session"
