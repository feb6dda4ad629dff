"""A guard in front of a registry, or of anything that speaks its API: WSGI and ASGI middleware.

>>> from regauth.guard import Guard, Wsgi
>>> key = '''-----BEGIN PUBLIC KEY-----
... MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEd+Q/opt++Z70nBttUpMqhLBkaNSH
... wLIABmcsN2ZrWVk4RRGbJ9Sa5tRTl+q/PUDXjetm8f+HeceGUfNlH9YsUg==
... -----END PUBLIC KEY-----'''
>>> guard = Guard("https://auth.example/token", "registry", "https://auth.example", [key])
>>> guard.check("GET", "/v2/team/app/manifests/1", [])
Reply(status=401, why="a token is required; get one from the realm of the challenge")

The middleware lets a request through whose token allows it, with a :class:`Pass` as ``regauth.pass`` in its environment or
scope, and answers the others. What is not the registry's is refused with 404, unless ``others`` lets it through.

A path is looked at as it was received *and* as the application gets it, decoded: only what may pass both ways passes. A
client certificate counts where the TLS stack has verified it: ``peer`` gives its DER out of the environment or scope. ASGI
servers that have the TLS extension give it by themselves; from a proxy's header field take it only where nobody else can
set that field, and make the guard with ``trust_proxy``.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote

from . import _core
from ._core import Pass, Reply

__all__ = ["Asgi", "Guard", "Pass", "Reply", "Wsgi"]

Environment = dict[str, Any]
Scope = MutableMapping[str, Any]
UNKNOWN = b'{"errors":[{"code":"UNSUPPORTED","message":"not a path of the registry API"}]}'


class Guard:
    """Decides about requests; takes no part in sending anything.

    ``realm``: the token endpoint's absolute URL; ``service``, ``issuer``: audience and issuer of the tokens; ``keys``: PEM
    texts of public keys or certificates (P-256) that verify them. ``require_bound``: every token has to be bound to the
    client's certificate (RFC 8705). ``max_life``: the longest life of a token that is believed, in seconds.
    """

    def __init__(self, realm: str, service: str, issuer: str, keys: Sequence[str], **options: Any) -> None:
        made = [ssl.PEM_cert_to_DER_cert(key) if "BEGIN CERTIFICATE" in key else key for key in keys]
        self.trust_proxy = bool(options.get("trust_proxy", False))
        self._guard = _core.Guard(realm, service, issuer, made, **options)

    def check(
        self,
        method: str,
        target: str,
        authorization: list[str],
        *,
        content_type: str | None = None,
        peer: bytes | None = None,
        now: int | None = None,
    ) -> Pass | Reply | None:
        """Whether this request may pass; ``None`` where it is not the registry's."""
        return self._guard.check(
            method, target, authorization, content_type=content_type, peer=peer, proxied=self.trust_proxy, now=now
        )

    def check_both(self, method: str, targets: Iterable[str], *rest: Any, **options: Any) -> Pass | Reply | None:
        """What may pass as each of these targets, or else the first refusal; ``None`` as soon as one is not the
        registry's."""
        each = [self.check(method, target, *rest, **options) for target in dict.fromkeys(targets)]
        refused = next((said for said in each if isinstance(said, Reply)), None)
        return refused or (None if None in each else each[-1])


def reply(status: int, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    return status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))], body


class Wsgi:
    """WSGI middleware (PEP 3333). ``peer`` gives the verified client certificate's DER out of the environment."""

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        guard: Guard,
        *,
        peer: Callable[[Environment], bytes | None] = lambda environment: None,
        others: bool = False,
    ) -> None:
        self._application, self._guard, self._peer, self._others = application, guard, peer, others

    def __call__(self, environment: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        path = environment.get("SCRIPT_NAME", "") + environment.get("PATH_INFO", "")
        query = environment.get("QUERY_STRING", "")
        decoded = quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")
        raw = environment.get("RAW_URI") or environment.get("REQUEST_URI") or decoded
        value = environment.get("HTTP_AUTHORIZATION")
        said = self._guard.check_both(
            environment["REQUEST_METHOD"],
            (raw, decoded),
            [] if value is None else [value],
            content_type=environment.get("CONTENT_TYPE") or None,
            peer=self._peer(environment),
        )
        if isinstance(said, Pass) or (said is None and self._others):
            environment["regauth.pass"] = said
            return self._application(environment, start)
        status, headers, body = answer(said)
        start(f"{status} {PHRASES.get(status, 'Refused')}", headers)
        return [b"" if environment["REQUEST_METHOD"] == "HEAD" else body]


class Asgi:
    """ASGI 3 middleware. ``peer`` gives the verified client certificate's DER out of the scope; without it the TLS
    extension's is taken."""

    def __init__(
        self,
        application: Callable[..., Awaitable[None]],
        guard: Guard,
        *,
        peer: Callable[[Scope], bytes | None] | None = None,
        others: bool = False,
    ) -> None:
        self._application, self._guard, self._peer, self._others = application, guard, peer or tls_peer, others

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Callable[..., Awaitable[None]]) -> None:
        if scope["type"] == "lifespan":
            return await self._application(scope, receive, send)
        if scope["type"] != "http":
            raise ValueError(f"a registry has no {scope['type']}")
        query = scope.get("query_string", b"").decode("latin-1")
        tail = f"?{query}" if query else ""
        decoded = quote(scope["path"], safe="/:@!$&'()*+,;=~") + tail
        raw = (scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]
        fields = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        kinds = [value for name, value in fields if name == b"content-type"]
        said = self._guard.check_both(
            scope["method"],
            (f"{raw}{tail}" if raw else decoded, decoded),
            [value for name, value in fields if name == b"authorization"],
            content_type=", ".join(kinds) or None,
            peer=self._peer(scope),
        )
        if isinstance(said, Pass) or (said is None and self._others):
            scope["regauth.pass"] = said
            return await self._application(scope, receive, send)
        status, headers, body = answer(said)
        raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": raw_headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        return None


def tls_peer(scope: Scope) -> bytes | None:
    """The leaf out of ASGI's TLS extension, where the server has verified it."""
    tls = (scope.get("extensions") or {}).get("tls") or {}
    chain = tls.get("client_cert_chain") or ()
    return None if tls.get("client_cert_error") or not chain else ssl.PEM_cert_to_DER_cert(chain[0])


PHRASES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


def answer(said: Reply | None) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, header fields and body of a refusal."""
    if said is None:
        return reply(404, UNKNOWN)
    return said.status, [*said.headers, ("Content-Length", str(len(said.body)))], said.body
