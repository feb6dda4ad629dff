"""Registries with a requests session of yours.

>>> import requests, regauth, regauth.requests
>>> agent = regauth.Agent(regauth.Config().system())
>>> session = regauth.requests.use(requests.Session(), agent)
>>> session.close()

``use`` sets a :class:`RegistryAuth`, which gets tokens through the same session, and mounts an :class:`Adapter`, which shows
each hop the identity that it may have. With the adapter everything is guaranteed that the policy says. With ``RegistryAuth``
alone passwords, tokens and header fields of host entries go where they may; the certificate of the session's own ``cert`` goes
to every server that asks for one, and addresses are not checked. The library follows redirects either way, and the answer is
that of the last hop; one that the application has to judge, 301 or 302 to a ``POST``, the adapter lets nobody follow.

Python's TLS loads keys from files only, and cannot choose by the issuers that a server names: the first identity of a host is
shown. With ``try_pairs`` the next one is, where the client tells of the server's alert (in TLS 1.3 it may see a reset in its
place), and with ``try_pairs_on_status`` where the answer may be a refusal. For all else there is :mod:`regauth.aio`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from requests.utils import rewind_body

from . import _core
from ._drive import LookUp, fields, next_send
from ._route import Contexts, Hop, Route
from .errors import ConfigError

__all__ = ["Adapter", "RegistryAuth", "use"]

HOP = "regauth_hop"


def use(session: requests.Session, agent: _core.Agent, **options: Any) -> requests.Session:
    """Gives a session the identity, the tokens and the policy of an agent; ``options`` are those of an adapter."""
    adapter = Adapter(agent, **options)
    session.auth = RegistryAuth(agent, session)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class RegistryAuth(AuthBase):
    """Gets tokens through ``session``. ``look_up``: see :mod:`regauth.aio`. ``timeout``: seconds for a token request."""

    def __init__(
        self, agent: _core.Agent, session: requests.Session, *, look_up: LookUp | None = None, timeout: float = 30.0
    ) -> None:
        self.agent, self._session, self._own, self._timeout = agent, session, look_up, timeout

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        flow = self.agent.request(request.method or "", request.url or "")
        application = request.copy()
        if out := self._next(flow):
            request.headers = CaseInsensitiveDict(fields(out, application.headers.items()))
            setattr(request, HOP, Hop(flow, out))

        def go_on(response: requests.Response, **options: Any) -> requests.Response:
            return self._go_on(flow, application, response, options)

        request.hooks["response"].append(go_on)
        return request

    def _go_on(
        self, flow: _core.Flow, application: requests.PreparedRequest, response: requests.Response, options: dict[str, Any]
    ) -> requests.Response:
        """From the first answer to the application's."""
        if not hasattr(response.request, HOP):
            return response  # requests has followed a redirect.
        history: list[requests.Response] = []
        while True:
            flow.answer(response.status_code, received(response))
            if not isinstance(flow.poll(), _core.Done):
                response.content  # So that its connection is free for the next request.
            out = self._next(flow)
            response.history = history
            if out is None:
                return response
            history = [*history, response]
            again = application.copy()
            again.method, again.url = out.method, out.url
            again.headers = CaseInsensitiveDict(fields(out, application.headers.items()))
            if not out.app_body:
                again.body = None
            elif not isinstance(again.body, bytes | str | None):
                rewind_body(again)
            response = self._send(flow, out, again, **options)

    def _next(self, flow: _core.Flow) -> _core.Send | None:
        """Goes on to the next request that is not for a token."""
        try:
            while (out := next_send(flow, self._own)) and out.at_most is not None:
                self._token(flow, out, out.at_most)
        except BaseException:
            flow.close()
            raise
        return out

    def _token(self, flow: _core.Flow, out: _core.Send, at_most: int) -> None:
        headers = dict(fields(out, ()))
        request, body = requests.Request(out.method, out.url, headers=headers, data=out.form).prepare(), b""
        try:
            with self._send(flow, out, request, timeout=self._timeout, stream=True) as response:
                for piece in response.iter_content(64 * 1024):
                    body += piece
                    if len(body) > at_most:
                        break
        except Told:
            return
        flow.answer(response.status_code, received(response), body)

    def _send(
        self, flow: _core.Flow, out: _core.Send, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        """Sends the request of a step, whose hop an :class:`Adapter` wants to know."""
        request.hooks = default_hooks()
        setattr(request, HOP, Hop(flow, out))
        return self._session.send(request, allow_redirects=False, **options)


class Told(requests.exceptions.ConnectionError):
    """The flow knows already that this request has failed."""


def received(response: requests.Response) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in response.raw.headers.items()]


class Adapter(HTTPAdapter):
    """Connects each hop with the identity that it may have, to addresses that it may be at. ``options`` are those of
    ``HTTPAdapter``; ``verify`` and ``cert`` of a session are not looked at."""

    def __init__(self, agent: _core.Agent, **options: Any) -> None:
        self.agent, self._contexts = agent, Contexts()
        self._here = threading.local()
        super().__init__(**options)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        hop = getattr(request, HOP, None)
        if not isinstance(hop, Hop):
            remedy = "Use regauth.requests.use(session, agent), and allow_redirects=False where a redirect is yours to judge."
            raise ConfigError("a request came to the adapter without RegistryAuth", remedy)
        # The adapter sets it for each request: the connection is to an address.
        request.headers["Host"] = urlsplit(hop.out.url).netloc
        route = Route(self.agent, hop, repeatable=isinstance(request.body, bytes | str | None))
        failed: requests.exceptions.RequestException = Told()
        while route.address:
            self._here.route = route
            try:
                response = super().send(request, stream, timeout, verify, cert, proxies)
            except requests.exceptions.RequestException as error:
                route.failed(failed := error)
            else:
                if not route.refused(response.status_code):
                    return response
                response.close()
        if hop.out.at_most is None:
            hop.flow.poll()  # It raises what the flow was told.
        raise Told from failed

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> Any:
        route: Route = self._here.route
        where = {"scheme": "https" if route.secure else "http", "host": route.address, "port": route.port}
        if not route.secure:
            return where, {}
        tls = {"ssl_context": self._contexts.of(route), "server_hostname": route.host, "assert_hostname": route.host}
        return where, tls

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        """Nothing: the context has all of it."""
