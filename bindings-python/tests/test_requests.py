"""requests, with its own redirects, against nginx and distribution v3."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pulls
import pytest
import requests
from conftest import World

import regauth
import regauth.requests


def pull(session: requests.Session, world: World) -> None:
    manifest = session.get(world.url("manifests/one"), headers=pulls.ACCEPT)
    assert manifest.status_code == 200, manifest.text
    contents = [session.get(world.url(f"blobs/{one['digest']}")).content for one in pulls.blobs(manifest.content)]
    pulls.same(world, manifest.content, contents)


def test_two_pulls_through_every_hop(world: World) -> None:
    with regauth.requests.use(requests.Session(), regauth.Agent(world.config())) as session:
        pull(session, world)
        pull(session, world)
    print("requests, two pulls,", pulls.check(world, pulls=2))


def test_a_session_with_tls_of_its_own(world_a: World) -> None:
    with requests.Session() as session:
        session.auth = regauth.requests.RegistryAuth(regauth.Agent(world_a.config(identity=None)), session)
        session.trust_env = False  # A bundle in the environment would stand in its place.
        session.verify = str(world_a.ca)
        session.cert = (str(world_a.pair().cert), str(world_a.pair().key))
        pull(session, world_a)
    pulls.check(world_a)


def test_thirty_two_threads_ask_for_one_token(world_a: World) -> None:
    agent = regauth.Agent(world_a.config())
    with regauth.requests.use(requests.Session(), agent, pool_maxsize=32) as session, ThreadPoolExecutor(32) as threads:
        url = world_a.url("manifests/one")
        got = threads.map(lambda _: session.get(url, headers=pulls.ACCEPT).status_code, range(64))
        assert set(got) == {200}
    assert sum(record["token"] for record in world_a.records()) == 1


def test_a_body_is_sent_again_after_the_challenge(world_a: World) -> None:
    with regauth.requests.use(requests.Session(), regauth.Agent(world_a.config())) as session:
        # A small one: the registry refuses without reading it, and of a larger one nginx may see the reset only (502).
        begun = session.post(world_a.url("blobs/uploads/"), data=b"x" * 1000)
        assert begun.status_code == 202


def test_upload_of_bytes_and_of_a_file(world_a: World) -> None:
    content = bytes(range(256)) * 4096
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with regauth.requests.use(requests.Session(), regauth.Agent(world_a.config())) as session:
        for body in (content, io.BytesIO(content)):
            begun = session.post(world_a.url("blobs/uploads/"))
            assert begun.status_code == 202
            headers = {"Content-Type": "application/octet-stream"}
            put = session.put(begun.headers["location"], params={"digest": digest}, data=body, headers=headers)
            assert put.status_code == 201, put.text
            assert session.get(world_a.url(f"blobs/{digest}")).content == content


def test_what_went_wrong_is_said(world_b: World) -> None:
    def fails(config: regauth.Config) -> regauth.RegauthError:
        with regauth.requests.use(requests.Session(), regauth.Agent(config)) as session:
            with pytest.raises(regauth.RegauthError) as caught:
                session.get(world_b.url("manifests/one"), headers=pulls.ACCEPT)
        return caught.value

    denied = fails(world_b.config(token_pair=False))
    assert isinstance(denied, regauth.PolicyDenied) and denied.hop == "token"
    stranger = world_b.config()
    stranger._roots.clear()
    untrusted = fails(stranger)
    assert untrusted.failure == "server-certificate" and untrusted.hop == "registry", repr(untrusted)
    nobody = regauth.Config().ca(world_b.ca)
    with regauth.requests.use(requests.Session(), regauth.Agent(nobody)) as session:
        with pytest.raises(regauth.NetworkError) as caught:
            session.get("https://127.0.0.1:1/v2/a/manifests/b")
        assert caught.value.failure == "connect"


def test_redirects_are_the_librarys(redirecting: str) -> None:
    """It follows ten of a GET; one of a POST is the application's to judge, and not for requests to follow."""
    with regauth.requests.use(requests.Session(), regauth.Agent(regauth.Config())) as session:
        with pytest.raises(regauth.PolicyDenied, match="redirect"):
            session.get(f"{redirecting}/v2/")
        url = f"{redirecting}/v2/demo/app/blobs/uploads/"
        with pytest.raises(regauth.ConfigError, match="allow_redirects=False"):
            session.post(url)
        answer = session.post(url, allow_redirects=False)
        assert answer.status_code == 302 and answer.headers["location"] == f"{redirecting}/elsewhere"


def test_a_request_without_auth_is_an_error() -> None:
    with regauth.requests.use(requests.Session(), regauth.Agent(regauth.Config())) as session:
        session.auth = None
        with pytest.raises(regauth.ConfigError):
            session.get("https://127.0.0.1:1/v2/")
