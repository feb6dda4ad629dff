"""httpx, sync and async, with and without its own redirects, against nginx and distribution v3."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from concurrent.futures import ThreadPoolExecutor

import httpx
import pulls
import pytest
from conftest import World

import regauth
import regauth.httpx


def pull(client: httpx.Client, world: World) -> None:
    manifest = client.get(world.url("manifests/one"), headers=pulls.ACCEPT)
    assert manifest.status_code == 200
    contents = [client.get(world.url(f"blobs/{one['digest']}")).content for one in pulls.blobs(manifest.content)]
    pulls.same(world, manifest.content, contents)


@pytest.mark.parametrize("follow", [False, True])
def test_two_pulls_through_every_hop(world: World, follow: bool) -> None:
    agent = regauth.Agent(world.config())
    transport, auth = regauth.httpx.Transport(agent), regauth.httpx.RegistryAuth(agent)
    with httpx.Client(auth=auth, transport=transport, follow_redirects=follow, timeout=60) as client:
        pull(client, world)
        pull(client, world)
    print("httpx, two pulls,", pulls.check(world, pulls=2))


@pytest.mark.parametrize("follow", [False, True])
def test_two_async_pulls(world: World, follow: bool) -> None:
    async def main() -> None:
        agent = regauth.Agent(world.config())
        transport, auth = regauth.httpx.AsyncTransport(agent), regauth.httpx.RegistryAuth(agent)
        async with httpx.AsyncClient(auth=auth, transport=transport, follow_redirects=follow, timeout=60) as client:
            for _ in range(2):
                manifest = await client.get(world.url("manifests/one"), headers=pulls.ACCEPT)
                urls = [world.url(f"blobs/{one['digest']}") for one in pulls.blobs(manifest.content)]
                contents = await asyncio.gather(*(client.get(url) for url in urls))
                pulls.same(world, manifest.content, [one.content for one in contents])

    asyncio.run(main())
    print("httpx async, two pulls,", pulls.check(world, pulls=2))


def test_a_client_with_tls_of_its_own(world_a: World) -> None:
    """Without the transport the client's own certificate is shown, and the token comes through the client all the same."""
    context = ssl.create_default_context(cafile=str(world_a.ca))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_cert_chain(world_a.pair().cert, world_a.pair().key)
    auth = regauth.httpx.RegistryAuth(regauth.Agent(world_a.config(identity=None)))
    with httpx.Client(auth=auth, verify=context, timeout=60) as client:
        pull(client, world_a)
    pulls.check(world_a)


def test_thirty_two_threads_ask_for_one_token(world_a: World) -> None:
    agent = regauth.Agent(world_a.config())
    transport, auth = regauth.httpx.Transport(agent), regauth.httpx.RegistryAuth(agent)
    with httpx.Client(auth=auth, transport=transport, timeout=60) as client, ThreadPoolExecutor(32) as threads:
        got = threads.map(lambda _: client.get(world_a.url("manifests/one"), headers=pulls.ACCEPT), range(64))
        assert {one.status_code for one in got} == {200}
    assert sum(record["token"] for record in world_a.records()) == 1


def test_upload_of_bytes_and_of_a_stream(world_a: World) -> None:
    content = bytes(range(256)) * 4096
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    agent = regauth.Agent(world_a.config())
    auth, transport = regauth.httpx.RegistryAuth(agent), regauth.httpx.Transport(agent)
    with httpx.Client(auth=auth, transport=transport, timeout=60) as client:
        for body in (content, (content[start : start + 100_000] for start in range(0, len(content), 100_000))):
            begun = client.post(world_a.url("blobs/uploads/"))
            assert begun.status_code == 202
            url = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
            put = client.put(url, content=body, headers={"Content-Type": "application/octet-stream"})
            assert put.status_code == 201, put.text
            assert client.get(world_a.url(f"blobs/{digest}")).content == content


def test_what_went_wrong_is_said(world_b: World) -> None:
    def fails(config: regauth.Config) -> regauth.RegauthError:
        agent = regauth.Agent(config)
        transport, auth = regauth.httpx.Transport(agent), regauth.httpx.RegistryAuth(agent)
        with httpx.Client(auth=auth, transport=transport, timeout=60) as client, pytest.raises(regauth.RegauthError) as caught:
            client.get(world_b.url("manifests/one"), headers=pulls.ACCEPT)
        return caught.value

    denied = fails(world_b.config(token_pair=False))
    assert isinstance(denied, regauth.PolicyDenied) and denied.hop == "token"
    stranger = world_b.config()
    stranger._roots.clear()
    untrusted = fails(stranger)
    assert untrusted.failure == "server-certificate" and untrusted.hop == "registry", repr(untrusted)
    signer = regauth.Identity.with_signer(world_b.pair().cert.read_bytes(), lambda s, m: b"", schemes=[0x403], label="hsm")
    held = fails(regauth.Config().ca(world_b.ca).host(world_b.registry, identities=[signer]))
    assert isinstance(held, regauth.ConfigError) and "regauth.aio" in held.remedy


@pytest.mark.parametrize("follow", [False, True])
def test_redirects_are_the_librarys(redirecting: str, follow: bool) -> None:
    """It follows ten of a GET; one of a POST is the application's answer, which httpx does not follow either."""
    agent = regauth.Agent(regauth.Config())
    auth, transport = regauth.httpx.RegistryAuth(agent), regauth.httpx.Transport(agent)
    with httpx.Client(auth=auth, transport=transport, follow_redirects=follow, timeout=60) as client:
        with pytest.raises(regauth.PolicyDenied, match="redirect"):
            client.get(f"{redirecting}/v2/")
        answer = client.post(f"{redirecting}/v2/demo/app/blobs/uploads/")
        assert answer.status_code == 302 and answer.headers["location"] == f"{redirecting}/elsewhere"


def test_a_request_without_auth_is_an_error() -> None:
    agent = regauth.Agent(regauth.Config())
    with httpx.Client(transport=regauth.httpx.Transport(agent)) as client, pytest.raises(regauth.ConfigError):
        client.get("https://127.0.0.1:1/v2/")
