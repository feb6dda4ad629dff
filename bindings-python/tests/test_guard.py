"""The guard's middleware, with tokens of a real token service; httpx calls the applications."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import World

import regauth
import regauth.aio
from regauth.guard import Asgi, Guard, Pass, Wsgi

REALM = "https://auth.example/token"


def guard(world: World, **options: Any) -> Guard:
    key = (Path(world.about["directory"]) / "pki/tokens.crt").read_text()
    return Guard(REALM, "test-registry", "test", [key], **options)


def token(world: World) -> str:
    async def main() -> str:
        agent = regauth.Agent(world.config())
        url = world.url("manifests/one")
        async with regauth.aio.Session(agent) as session:
            await (await session.get(url)).read()
        return agent.authorize("GET", url) or ""

    return asyncio.run(main())


def wsgi(environment: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [repr(environment["regauth.pass"]).encode()]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(scope["regauth.pass"]).encode()})


def ask(application: Any, method: str, url: str, **headers: str) -> httpx.Response:
    if isinstance(application, Wsgi):
        with httpx.Client(transport=httpx.WSGITransport(application)) as client:
            return client.request(method, url, headers=headers)

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application)) as client:
            return await client.request(method, url, headers=headers)

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_what_passes_and_what_does_not(world_a: World, kind: str) -> None:
    made = Wsgi(wsgi, guard(world_a)) if kind == "wsgi" else Asgi(asgi, guard(world_a))
    good, base = token(world_a), "https://reg.example"
    mine = f"{base}/v2/demo/app"
    for method, url, authorization, status, challenge in [
        ("GET", f"{mine}/manifests/one", good, 200, None),
        ("HEAD", f"{mine}/blobs/sha256:{64 * '0'}", good, 200, None),
        ("GET", f"{mine}/manifests/one", None, 401, f'Bearer realm="{REALM}",service="test-registry"'),
        ("PUT", f"{mine}/manifests/one", good, 401, 'error="insufficient_scope"'),
        ("GET", f"{base}/v2/other/app/manifests/one", good, 401, 'error="insufficient_scope"'),
        ("GET", f"{mine}/manifests/one", good[:-4] + "AAAA", 401, 'error="invalid_token"'),
        ("GET", f"{mine}/manifests/one", "Basic cm9ib3Q6czNjcmV0", 401, "Bearer realm"),
        ("GET", f"{base}/elsewhere", good, 404, None),
    ]:
        answer = ask(made, method, url, **({"Authorization": authorization} if authorization else {}))
        assert answer.status_code == status, f"{method} {url}: {answer.status_code} {answer.text}"
        if challenge:
            assert challenge in answer.headers["www-authenticate"]
        if status == 200 and method == "GET":
            assert "repository:demo/app:pull" in answer.text
        assert good not in answer.text
    others = Wsgi(wsgi, guard(world_a), others=True) if kind == "wsgi" else Asgi(asgi, guard(world_a), others=True)
    assert ask(others, "GET", f"{base}/elsewhere").text == "None"


def test_a_path_that_is_two_things_does_not_pass(world_a: World) -> None:
    """As it was received it is one repository, and the application gets another."""
    good = token(world_a)
    received, decoded = "/v2/demo/app/manifests/..%2f..%2f..%2fother/manifests/one", "/v2/demo/app/manifests/../../../other/manifests/one"
    said: list[Any] = []

    def start(status: str, headers: Any) -> None:
        said.append(status)

    for raw, path in [(received, decoded), ("/v2/demo/app/manifests/one", "/v2/other/app/manifests/one")]:
        environment = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "RAW_URI": raw, "HTTP_AUTHORIZATION": good}
        list(Wsgi(wsgi, guard(world_a))(environment, start))
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": raw.encode(), "query_string": b""}
        scope["headers"] = [(b"authorization", good.encode())]

        async def send(message: Any) -> None:
            said.append(str(message.get("status", "")))

        asyncio.run(Asgi(asgi, guard(world_a))(scope, send, send))
    assert not any(status.startswith("200") for status in said) and len(said) == 6, said


def test_a_token_has_to_be_bound_where_that_is_required(world_a: World) -> None:
    der = ssl.PEM_cert_to_DER_cert(world_a.pair().cert.read_text())
    strict = guard(world_a, require_bound=True)
    said = strict.check("GET", "/v2/demo/app/manifests/one", [token(world_a)], peer=der)
    assert said is not None and not isinstance(said, Pass) and said.status == 401, said
    with pytest.raises(regauth.ConfigError):
        strict.check("GET", "/v2/", [], peer=b"no certificate")


def test_a_guard_that_cannot_be_set_up_says_why() -> None:
    for realm, keys, why in [("nowhere", [], "realm"), (REALM, [], "there is no key"), (REALM, ["x"], "key")]:
        with pytest.raises(regauth.ConfigError, match=why):
            Guard(realm, "s", "i", keys)
