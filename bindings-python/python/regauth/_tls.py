"""Python's own TLS for the adapters of HTTP clients: contexts out of profiles, and errors in the library's words."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
from collections.abc import Iterator

from ._core import Evidence, Flow, Identity, Profile
from .errors import ConfigError, NetworkError, PolicyDenied

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


def context(profile: Profile) -> ssl.SSLContext:
    """A context with the roots of a profile, and the first of its identities.

    Python's TLS cannot choose by the issuers that a server names, and loads keys from files only: a key that a signer
    holds is a :class:`ConfigError`.
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
    if profile.identities:
        _load(made, profile.identities[0])
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


def failure(error: BaseException, profile: Profile | None) -> tuple[str, Evidence | None]:
    """How a connection failed, and what is known of TLS, for :meth:`Flow.failed`."""
    label = profile.identities[0].label if profile and profile.identities else None
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


def addresses(flow: Flow, host: str, port: int) -> list[str]:
    """The addresses of a host that the policy allows for the flow's current request."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NetworkError("the name does not resolve", failure="connect") from error
    allowed, refused = [], None
    for *_, address in found:
        ip = str(address[0]).partition("%")[0]
        try:
            flow.dial(ip)
        except PolicyDenied as error:
            refused = error
        else:
            allowed.append(ip)
    if not allowed and refused is not None:
        raise refused
    return list(dict.fromkeys(allowed))
