"""Registries with an httpx client of yours.

>>> import httpx, regauth, regauth.httpx
>>> agent = regauth.Agent(regauth.Config().system())
>>> client = httpx.Client(auth=regauth.httpx.RegistryAuth(agent), transport=regauth.httpx.Transport(agent))
>>> client.close()

``RegistryAuth`` gets the tokens, through the same client; ``Transport`` shows each hop the identity that it may have.

================  ================  =====================================================================================
with Transport    follow_redirects  what is guaranteed
================  ================  =====================================================================================
yes               either            everything: each hop gets what the policy says. The library follows redirects, and
                                    the answer is that of the last hop; httpx is left none to follow.
no                ``False``         passwords, tokens and header fields of host entries go where they may. The
                                    certificate of the client's own ``verify`` goes to every server that asks for one, and
                                    addresses are not checked.
no                ``True``          the same, but for what httpx takes along when it follows a redirect: header fields of
                                    host entries, and the body of a token request, in which a refresh token may be. A
                                    challenge of another origin is not honoured.
================  ================  =====================================================================================

Python's TLS loads keys from files only, and cannot choose by the issuers that a server names: the first identity of a host is
shown. With ``try_pairs`` the next one is, where the client tells of the server's alert (in TLS 1.3 it may see a reset in its
place), and with ``try_pairs_on_status`` where the answer may be a refusal. For all else there is :mod:`regauth.aio`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx

from . import _core
from ._drive import LookUp, fields, next_send, next_send_async
from ._route import Contexts, Hop, Route
from .errors import ConfigError

__all__ = ["AsyncTransport", "RegistryAuth", "Transport"]

HOP, FAILED, LOCATION = "regauth", "regauth.failed", "regauth.location"


class RegistryAuth(httpx.Auth):
    """Gets tokens through the client that it is given to, sync or async. ``look_up``: see :mod:`regauth.aio`."""

    def __init__(self, agent: _core.Agent, *, look_up: LookUp | None = None) -> None:
        self.agent, self._own = agent, look_up

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        with self.agent.request(request.method, str(request.url)) as flow:
            while out := next_send(flow, self._own):
                response = yield outgoing(request, flow, out)
                if wants_body(response, out):
                    response.read()
                answer(flow, out, response)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        with self.agent.request(request.method, str(request.url)) as flow:
            while out := await next_send_async(flow, self._own):
                response = yield outgoing(request, flow, out)
                if wants_body(response, out):
                    await response.aread()
                answer(flow, out, response)


def outgoing(request: httpx.Request, flow: _core.Flow, out: _core.Send) -> httpx.Request:
    """The request of a step: the application's, or one for a token."""
    # httpx adds no Host to a request with a stream.
    headers = [("Host", httpx.URL(out.url).netloc.decode("ascii")), *fields(out, request.headers.multi_items())]
    stream, extensions = request.stream if out.app_body else None, {**request.extensions, HOP: Hop(flow, out)}
    return httpx.Request(out.method, out.url, headers=headers, content=out.form, stream=stream, extensions=extensions)


def wants_body(response: httpx.Response, out: _core.Send) -> bool:
    length = response.headers.get("content-length", "0")
    return out.at_most is not None and (not length.isdigit() or int(length) <= out.at_most)


def answer(flow: _core.Flow, out: _core.Send, response: httpx.Response) -> None:
    if FAILED in response.extensions:
        return  # The transport has told the flow.
    if location := response.extensions.get(LOCATION):
        response.headers["location"] = location
    body = b""
    if out.at_most is not None:
        body = response.content if wants_body(response, out) else b" " * (out.at_most + 1)
    url = str(response.url) if response.url != httpx.URL(out.url) else None
    flow.answer(response.status_code, response.headers.multi_items(), body, url=url)


class _Routed:
    """What both transports share. ``options`` are those of httpx's, but for ``verify`` and ``cert``."""

    def __init__(self, agent: _core.Agent, **options: Any) -> None:
        self.agent, self._options = agent, options
        self._contexts = Contexts()
        self._inner: dict[tuple[int, int | None, str], Any] = {}

    def route(self, request: httpx.Request) -> Route:
        hop = request.extensions.get(HOP)
        if not isinstance(hop, Hop):
            raise ConfigError("a request came to the transport without RegistryAuth", "Give the client auth=RegistryAuth(agent).")
        return Route(self.agent, hop, repeatable=isinstance(request.stream, httpx.ByteStream))

    def inner(self, route: Route, kind: type[Any]) -> Any:
        """The transport of an origin and an identity: connections are pooled by both."""
        key = (route.profile_id, route.pair, route.origin)
        if key not in self._inner:
            verify = self._contexts.of(route) if route.secure else False
            # Where two threads make one, one of them is used.
            self._inner.setdefault(key, kind(verify=verify, **self._options))
        return self._inner[key]


def addressed(request: httpx.Request, route: Route, address: str) -> httpx.Request:
    """The request to an address that the policy allows, under the host's name."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": route.host},
    )


def ours(response: httpx.Response) -> httpx.Response:
    """An answer without what httpx would follow: redirects are for the library."""
    if location := response.headers.pop("location", None):
        response.extensions[LOCATION] = location
    return response


class Transport(_Routed, httpx.BaseTransport):
    """Connects each hop with the identity that it may have. ``options`` are those of ``httpx.HTTPTransport``, but for
    ``verify`` and ``cert``."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        route = self.route(request)
        while address := route.address:
            try:
                response = self.inner(route, httpx.HTTPTransport).handle_request(addressed(request, route, address))
            except httpx.TransportError as error:
                route.failed(error)
            else:
                if not route.refused(response.status_code):
                    return ours(response)
                response.close()
        return httpx.Response(502, extensions={FAILED: True})

    def close(self) -> None:
        for inner in self._inner.values():
            inner.close()


class AsyncTransport(_Routed, httpx.AsyncBaseTransport):
    """The same for ``httpx.AsyncClient``."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        route = await asyncio.to_thread(self.route, request)
        while address := route.address:
            try:
                response = await self.inner(route, httpx.AsyncHTTPTransport).handle_async_request(
                    addressed(request, route, address)
                )
            except httpx.TransportError as error:
                route.failed(error)
            else:
                if not route.refused(response.status_code):
                    return ours(response)
                await response.aclose()
        return httpx.Response(502, extensions={FAILED: True})

    async def aclose(self) -> None:
        for inner in self._inner.values():
            await inner.aclose()
