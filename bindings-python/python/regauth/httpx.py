"""Registries with an httpx client of yours.

>>> import httpx, regauth, regauth.httpx
>>> agent = regauth.Agent(regauth.Config().system())
>>> client = httpx.Client(auth=regauth.httpx.RegistryAuth(agent), transport=regauth.httpx.Transport(agent))
>>> client.close()

``RegistryAuth`` gets the tokens, through the same client; ``Transport`` shows each hop the identity that it may have.

================  ================  =====================================================================================
with Transport    follow_redirects  what is guaranteed
================  ================  =====================================================================================
yes               ``False``         everything: each hop gets what the policy says, redirects are the library's. This is
                                    the default, and the answer is that of the last hop.
yes               ``True``          the same; httpx follows redirects, and each of them is asked for in the library.
no                ``False``         passwords, tokens and header fields of host entries go where they may. The
                                    certificate of the client's own ``verify`` goes to every server that asks for one, and
                                    addresses are not checked.
no                ``True``          the same, but for header fields of host entries, which httpx takes along; a challenge
                                    of another origin is not honoured.
================  ================  =====================================================================================

Python's TLS loads keys from files only: for keys that a signer holds there is :mod:`regauth.aio`.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Any

import httpx

from . import _core, _look_up, _tls
from .errors import ConfigError, NetworkError

__all__ = ["AsyncTransport", "RegistryAuth", "Transport"]

HOP, FAILED = "regauth", "regauth.failed"


@dataclass
class Hop:
    """What a request carries for the transport: whose step it is."""

    flow: _core.Flow
    out: _core.Send


class RegistryAuth(httpx.Auth):
    """Gets tokens through the client that it is given to, sync or async. ``look_up``: see :mod:`regauth.aio`."""

    def __init__(self, agent: _core.Agent, *, look_up: _look_up.LookUp | None = None) -> None:
        self.agent, self._own = agent, look_up

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        woken = threading.Event()
        with self.agent.request(request.method, str(request.url)) as flow:
            while not isinstance(step := flow.poll(woken.set), _core.Done):
                if isinstance(step, _core.Send):
                    response = yield outgoing(request, flow, step)
                    if wants_body(response, step):
                        response.read()
                    answer(flow, step, response)
                elif isinstance(step, _core.Credentials):
                    _look_up.answer(flow, step, self._own)
                else:
                    woken.wait(max(0.0, step.until / 1000 - time.time()))
                    woken.clear()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        woken, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self.agent.request(request.method, str(request.url)) as flow:
            while not isinstance(step := flow.poll(wake), _core.Done):
                if isinstance(step, _core.Send):
                    response = yield outgoing(request, flow, step)
                    if wants_body(response, step):
                        await response.aread()
                    answer(flow, step, response)
                elif isinstance(step, _core.Credentials):
                    await asyncio.to_thread(_look_up.answer, flow, step, self._own)
                else:
                    try:
                        async with asyncio.timeout(max(0.0, step.until / 1000 - time.time())):
                            await woken.wait()
                    except TimeoutError:
                        pass
                    woken.clear()


def outgoing(request: httpx.Request, flow: _core.Flow, out: _core.Send) -> httpx.Request:
    """The request of a step: the application's, or one of the library's own."""
    extensions = {**request.extensions, HOP: Hop(flow, out)}
    headers = httpx.Headers(out.headers)
    if not out.hop.startswith("token"):
        own = ("host", "authorization", "cookie")
        body = () if out.app_body else ("content-length", "content-type", "transfer-encoding")
        for name, value in request.headers.multi_items():
            if name.lower() not in (*own, *body, *headers):
                headers[name] = value
        stream = request.stream if out.app_body else None
        return httpx.Request(out.method, out.url, headers=headers, stream=stream, extensions=extensions)
    headers["accept-encoding"] = "identity"
    return httpx.Request(out.method, out.url, headers=headers, content=out.form, extensions=extensions)


def wants_body(response: httpx.Response, out: _core.Send) -> bool:
    length = response.headers.get("content-length", "0")
    return out.at_most is not None and (not length.isdigit() or int(length) <= out.at_most)


def answer(flow: _core.Flow, out: _core.Send, response: httpx.Response) -> None:
    if FAILED in response.extensions:
        return  # The transport has told the flow.
    body = b""
    if out.at_most is not None:
        body = response.content if wants_body(response, out) else b" " * (out.at_most + 1)
    url = str(response.url) if response.url != httpx.URL(out.url) else None
    flow.answer(response.status_code, response.headers.multi_items(), body, url=url)


class _Route:
    """What both transports share: which hop, which TLS, which addresses."""

    def __init__(self, agent: _core.Agent, **options: Any) -> None:
        self.agent, self._options = agent, options
        self._inner: dict[tuple[int, str], Any] = {}
        self._lock = threading.Lock()

    def hop(self, request: httpx.Request) -> Hop:
        """The step of a request; of one that httpx made out of a redirect, a new one."""
        hop = request.extensions.get(HOP)
        if not isinstance(hop, Hop):
            raise ConfigError("a request came to the transport without RegistryAuth", "Give the client auth=RegistryAuth(agent).")
        if _core.origin(str(request.url)) == hop.out.origin:
            return hop
        for name, _ in hop.out.headers:
            request.headers.pop(name, None)
        flow = self.agent.referred(hop.flow.referrer(), "redirect", request.method, str(request.url))
        out = flow.poll()
        assert isinstance(out, _core.Send)
        request.headers.update(out.headers)
        hop = request.extensions[HOP] = Hop(flow, out)
        return hop

    def inner(self, hop: Hop, kind: type[Any]) -> tuple[Any, _core.Profile]:
        """The transport for the newest profile in the place of the hop's, and its origin."""
        found = self.agent.newest(hop.out.profile)
        assert found is not None
        key = (found[0], hop.out.origin)
        with self._lock:
            if key not in self._inner:
                secure = hop.out.origin.startswith("https:")
                verify: ssl.SSLContext | bool = _tls.context(found[1]) if secure else False
                self._inner[key] = kind(verify=verify, **self._options)
            return self._inner[key], found[1]

    def requests(self, request: httpx.Request, hop: Hop) -> list[httpx.Request]:
        """The request to each address that the policy allows, under the host's name."""
        host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
        return [
            httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            for address in _tls.addresses(hop.flow, host, port)
        ]

    def failed(self, hop: Hop, error: Exception, profile: _core.Profile | None) -> httpx.Response:
        if isinstance(error, NetworkError):
            hop.flow.failed(error.failure or "connect")
        else:
            hop.flow.failed(*_tls.failure(error, profile))
        return httpx.Response(502, extensions={FAILED: True})


class Transport(_Route, httpx.BaseTransport):
    """Connects each hop with the identity that it may have. ``options`` are those of ``httpx.HTTPTransport``, but for
    ``verify`` and ``cert``."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        hop, profile = self.hop(request), None
        try:
            inner, profile = self.inner(hop, httpx.HTTPTransport)
            each = self.requests(request, hop)
            for one in each:
                try:
                    return inner.handle_request(one)  # type: ignore[no-any-return]
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if one is each[-1]:
                        raise
        except (httpx.TransportError, NetworkError) as error:
            return self.failed(hop, error, profile)
        raise AssertionError("a host has an address")

    def close(self) -> None:
        for inner in self._inner.values():
            inner.close()


class AsyncTransport(_Route, httpx.AsyncBaseTransport):
    """The same for ``httpx.AsyncClient``."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        hop, profile = self.hop(request), None
        try:
            inner, profile = self.inner(hop, httpx.AsyncHTTPTransport)
            each = await asyncio.to_thread(self.requests, request, hop)
            for one in each:
                try:
                    return await inner.handle_async_request(one)  # type: ignore[no-any-return]
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if one is each[-1]:
                        raise
        except (httpx.TransportError, NetworkError) as error:
            return self.failed(hop, error, profile)
        raise AssertionError("a host has an address")

    async def aclose(self) -> None:
        for inner in self._inner.values():
            await inner.aclose()
