"""How the adapters of HTTP clients send a request: Python's own TLS out of profiles, which address, which identity, and what
an error of the client means in the library's words."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._core import Agent, Evidence, Flow, Identity, Profile, Send
from .errors import ConfigError, PolicyDenied

# RFC 8446 section 6, by the names that OpenSSL has for them.
ALERTS = {
    "HANDSHAKE_FAILURE": 40,
    "BAD_CERTIFICATE": 42,
    "UNSUPPORTED_CERTIFICATE": 43,
    "CERTIFICATE_REVOKED": 44,
    "CERTIFICATE_EXPIRED": 45,
    "CERTIFICATE_UNKNOWN": 46,
    "UNKNOWN_CA": 48,
    "ACCESS_DENIED": 49,
    "DECRYPT_ERROR": 51,
    "PROTOCOL_VERSION": 70,
    "INTERNAL_ERROR": 80,
    "CERTIFICATE_REQUIRED": 116,
}
# RFC 8446 section 4.2.3: what OpenSSL signs with. The server's own list is nothing that Python's TLS tells.
SCHEMES = [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0808, 0x0401, 0x0501, 0x0601]


@dataclass
class Hop:
    """What a request carries for the transport: whose step it is."""

    flow: Flow
    out: Send


class Route:
    """The way of one request: ``address`` is where to send it now, ``None`` where nothing is left and the flow knows why.

    Python's TLS says neither whether a server asked for a certificate nor which issuers it named: identities are shown in
    their order.

    :raises PolicyDenied: no address of the host is allowed.
    """

    def __init__(self, agent: Agent, hop: Hop, *, repeatable: bool) -> None:
        newest = agent.newest(hop.out.profile)
        assert newest is not None
        self.profile_id, self.profile = newest
        url = urlsplit(hop.out.url)
        self.origin, self.host, self.secure = hop.out.origin, url.hostname or "", url.scheme == "https"
        self.port = url.port or (443 if self.secure else 80)
        self._hop, self._repeatable = hop, repeatable
        self.address: str | None = None
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError:
            return hop.flow.failed("connect")
        self._all = list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))
        self._begin(0)

    def failed(self, error: Exception) -> None:
        """Goes on to another address, or another identity; else it tells the flow."""
        seen, evidence = failure(error, self._label)
        unreached = seen == "connect" or type(error).__name__ == "ConnectTimeout"
        if unreached and self._next_address():
            return
        if evidence and self._next_pair(seen, evidence.alert):
            return
        untried = [one.label for one in self.profile.identities[(self.pair or 0) + 1 :]]
        if evidence and untried and seen in ("certificate-rejected", "certificate-required"):
            what = "the server rejected the TLS handshake or the client certificate"
            remedy = "Set try_pairs for this host, or use regauth.aio, which chooses by the issuers that the server names."
            evidence = Evidence(
                asked=True,
                label=self._label,
                alert=evidence.alert,
                problem=(f"{what}; {', '.join(untried)} was not tried", remedy),
            )
        self._hop.flow.failed(seen, evidence)
        self.address = None

    def refused(self, status: int) -> bool:
        """Whether this answer stands for a refused certificate, and the next one is to be tried."""
        return self._next_pair(status)

    def _begin(self, skip: int) -> None:
        """With the first identity from number ``skip`` on, at the first address."""
        choice = self.profile.choose([], SCHEMES, skip=skip)
        self.pair, self._after = choice.pair, choice.next
        self._label = None if self.pair is None else self.profile.identities[self.pair].label
        self._left = list(self._all)
        self._next_address()

    def _next_address(self) -> bool:
        refused = None
        while self._left:
            address = self._left.pop(0)
            try:
                self._hop.flow.dial(address)
            except PolicyDenied as error:
                refused = error
            else:
                self.address = address
                return True
        if refused and self.address is None:
            raise refused
        return False

    def _next_pair(self, ended: str | int, alert: int | None = None) -> bool:
        evidence = Evidence(asked=True, label=self._label, pair=self.pair, next=self._after, alert=alert)
        skip = self.profile.retry(evidence, ended) if self._repeatable else None
        if skip is not None:
            self._hop.flow.retried(evidence, ended)
            self._begin(skip)
        return skip is not None


class Contexts:
    """One TLS context for each profile and identity: making one reads the roots."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int | None], ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def of(self, route: Route) -> ssl.SSLContext:
        key = (route.profile_id, route.pair)
        with self._lock:
            if key not in self._made:
                self._made[key] = context(route.profile, route.pair)
            return self._made[key]


def context(profile: Profile, pair: int | None) -> ssl.SSLContext:
    """A context with the roots of a profile and the identity of this number.

    :raises ConfigError: a signer holds its key; Python's TLS loads keys from files only.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if profile.skip_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if profile.webpki:
        import certifi

        made.load_verify_locations(cafile=certifi.where())
    for text in profile.ca:
        made.load_verify_locations(cadata=text.decode("ascii", "ignore"))
    if pair is not None:
        _load(made, profile.identities[pair])
    if profile.alpn:
        made.set_alpn_protocols(profile.alpn)
    return made


def _load(made: ssl.SSLContext, identity: Identity) -> None:
    pem = identity._pem()
    if pem is None:
        what = f"{identity.label}: its key is not here, and Python's TLS has to load it from a file"
        raise ConfigError(what, "Use regauth.aio, which asks the signer.")
    descriptor, path = tempfile.mkstemp(prefix="regauth-")  # For this user only, 0600.
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem[0] + b"\n" + pem[1])
        made.load_cert_chain(path)
    finally:
        os.unlink(path)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it came from."""
    for _ in range(16):
        if error is None:
            return
        yield error
        inner = next((argument for argument in error.args if isinstance(argument, BaseException)), None)
        reason = getattr(error, "reason", None)
        inner = inner or (reason if isinstance(reason, BaseException) else None)
        error = error.__cause__ or error.__context__ or inner


def failure(error: BaseException, label: str | None) -> tuple[str, Evidence | None]:
    """How a connection failed, and what is known of TLS, for :meth:`Flow.failed`; ``label`` is that of what was shown."""
    chain = list(causes(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            what = f"the server's certificate is not accepted: {one.verify_message}"
            remedy = "Give the certificate authority that issued the server's certificate (ca), or correct the name."
            return "server-certificate", Evidence(problem=(what, remedy))
        if isinstance(one, ssl.SSLError):
            reason = (one.reason or "").upper()
            for name, number in ALERTS.items():
                if f"ALERT_{name}" in reason:
                    evidence = Evidence(asked=True, label=label, alert=number)
                    return evidence.failure("tls"), evidence
            seen = "reset" if isinstance(one, ssl.SSLEOFError | ssl.SSLZeroReturnError) else "tls"
            return seen, None
    for one in chain:
        name = type(one).__name__
        if isinstance(one, TimeoutError | socket.timeout) or "Timeout" in name:
            return "timeout", None
        if isinstance(one, ConnectionRefusedError | socket.gaierror) or name in ("ConnectError", "NewConnectionError"):
            return "connect", None
    return "reset", None
