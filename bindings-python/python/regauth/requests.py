"""Registries with a requests session of yours.

>>> import requests, regauth, regauth.requests
>>> agent = regauth.Agent(regauth.Config().system())
>>> session = regauth.requests.use(requests.Session(), agent)
>>> session.close()

``use`` sets a :class:`RegistryAuth`, which gets tokens through the same session, and mounts an :class:`Adapter`, which shows
each hop the identity that it may have. With the adapter everything is guaranteed that the policy says, redirects included:
requests follows them, and each is asked for in the library. With ``RegistryAuth`` alone passwords and tokens go where they
may; the certificate of the session's own ``cert`` goes to every server that asks for one, and requests takes header fields
of host entries along when it follows redirects.

Python's TLS loads keys from files only: for keys that a signer holds there is :mod:`regauth.aio`.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import rewind_body

from . import _core, _look_up, _tls
from .errors import ConfigError, NetworkError

__all__ = ["Adapter", "RegistryAuth", "use"]


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
        self,
        agent: _core.Agent,
        session: requests.Session,
        *,
        look_up: _look_up.LookUp | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.agent, self._session, self._own, self._timeout = agent, session, look_up, timeout

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        call = Call(self, request)
        call.flow = self.agent.request(request.method or "", request.url or "").host_redirects()
        call.put(request)
        request.hooks["response"] = [*request.hooks.get("response", []), call]
        return request

    def advance(self, flow: _core.Flow) -> _core.Send | None:
        """Goes on to the next request that is the application's; ``None`` once its answer is there."""
        woken = threading.Event()
        while not isinstance(step := flow.poll(woken.set), _core.Done):
            if isinstance(step, _core.Credentials):
                _look_up.answer(flow, step, self._own)
            elif isinstance(step, _core.Wait):
                woken.wait(max(0.0, step.until / 1000 - time.time()))
                woken.clear()
            elif step.at_most is None:
                return step
            else:
                self.token(flow, step)
        return None

    def token(self, flow: _core.Flow, out: _core.Send) -> None:
        headers = {**dict(out.headers), "Accept-Encoding": "identity"}
        request = requests.Request(out.method, out.url, headers=headers, data=out.form).prepare()
        call = Call(self, request)
        call.flow, call.out, call.own = flow, out, True
        request.hooks["response"] = [call]
        try:
            response = self._session.send(request, allow_redirects=False, timeout=self._timeout, stream=True)
        except Told:
            return
        assert out.at_most is not None
        length = response.headers.get("Content-Length", "0")
        long = length.isdigit() and int(length) > out.at_most
        body = b" " * (out.at_most + 1) if long else response.content
        flow.answer(response.status_code, fields(response), body)


class Told(requests.exceptions.ConnectionError):
    """The flow knows already that this request has failed."""


class Call:
    """One request of the application, or for a token: a hook of its response, which copies of the request keep."""

    flow: _core.Flow
    out: _core.Send | None = None

    def __init__(self, auth: RegistryAuth, request: requests.PreparedRequest) -> None:
        self._auth, self._request, self.own = auth, request, False

    def put(self, *where: requests.PreparedRequest) -> None:
        """Goes on to the next request, and puts its header fields into these."""
        old = dict(self.out.headers) if self.out else {}
        self.out = self._auth.advance(self.flow)
        for request in where if self.out else ():
            for name in old:
                request.headers.pop(name, None)
            request.headers.update(self.out.headers if self.out else [])

    def follow(self, request: requests.PreparedRequest) -> None:
        """The request was made out of a redirect: asks what it may carry."""
        by, old = self.flow.referrer(), self.out
        self.flow = self._auth.agent.referred(by, "redirect", request.method or "", request.url or "").host_redirects()
        self.out = old
        self.put(request)

    def is_of(self, request: requests.PreparedRequest) -> bool:
        return self.out is not None and requests.Request("GET", self.out.url).prepare().url == request.url

    def __call__(self, response: requests.Response, **options: Any) -> requests.Response:
        if self.own:
            return response
        while True:
            sent = response.request
            if not self.is_of(sent):
                self.follow(sent)
            last = self.out
            self.flow.answer(response.status_code, fields(response))
            if not isinstance(self.flow.poll(), _core.Done):
                response.content  # So that its connection is free for a token request.
            again = sent.copy()
            self.put(again, self._request)
            if self.out is None:
                self.out = last if response.is_redirect else None
                return response
            response.close()
            if isinstance(getattr(again, "_body_position", None), int):
                rewind_body(again)
            history = [*response.history, response]
            response = response.connection.send(again, **options)
            response.history = history


def fields(response: requests.Response) -> list[tuple[str, str]]:
    raw = response.raw.headers if response.raw is not None else response.headers
    return [(str(name), str(value)) for name, value in raw.items()]


class Adapter(HTTPAdapter):
    """Connects each hop with the identity that it may have, to addresses that it may be at. ``options`` are those of
    ``HTTPAdapter``; ``verify`` and ``cert`` of a session are not looked at."""

    def __init__(self, agent: _core.Agent, **options: Any) -> None:
        self.agent = agent
        self._contexts: dict[int, ssl.SSLContext] = {}
        self._lock = threading.Lock()
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
        call = next((hook for hook in request.hooks.get("response", []) if isinstance(hook, Call)), None)
        if call is None:
            raise ConfigError("a request came to the adapter without RegistryAuth", "Use regauth.requests.use(session, agent).")
        if not call.is_of(request):
            call.follow(request)
        assert call.out is not None
        found = self.agent.newest(call.out.profile)
        assert found is not None
        url = urlsplit(request.url or "")
        # The adapter sets it for each request: the connection is to an address.
        request.headers["Host"] = url.netloc.rpartition("@")[2]
        try:
            each = _tls.addresses(call.flow, url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
            for address in each:
                self._here.target = (address, url.hostname, *found)
                try:
                    return super().send(request, stream, timeout, verify, cert, proxies)
                except requests.exceptions.ConnectTimeout:
                    if address is each[-1]:
                        raise
                except requests.exceptions.ConnectionError as error:
                    if address is each[-1] or _tls.failure(error, None)[0] != "connect":
                        raise
        except (requests.exceptions.RequestException, NetworkError) as error:
            seen = (error.failure or "connect", None) if isinstance(error, NetworkError) else _tls.failure(error, found[1])
            call.flow.failed(*seen)
            if call.own:
                raise Told from error
            call.flow.poll()
            raise
        raise AssertionError("a host has an address")

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> Any:
        address, host, profile_id, profile = self._here.target
        url = urlsplit(request.url or "")
        where = {"scheme": url.scheme, "host": address, "port": url.port or (443 if url.scheme == "https" else 80)}
        if url.scheme != "https":
            return where, {}
        with self._lock:
            if profile_id not in self._contexts:
                self._contexts[profile_id] = _tls.context(profile)
        return where, {"ssl_context": self._contexts[profile_id], "server_hostname": host, "assert_hostname": host}

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        """Nothing: the context has all of it."""
