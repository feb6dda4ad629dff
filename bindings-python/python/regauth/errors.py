"""The exceptions: what happened, on which hop, and what to do.

None of them holds a secret: no password, no token, no query of a URL, no text of a server's body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Evidence

__all__ = [
    "AuthRefused",
    "CertificateRejected",
    "CertificateRequired",
    "ConfigError",
    "MisuseError",
    "NetworkError",
    "PolicyDenied",
    "ProtocolError",
    "RegauthError",
    "TryLater",
]


class RegauthError(Exception):
    """What every error of this library is.

    >>> error = ConfigError("the key is encrypted", "Decrypt it.")
    >>> str(error)
    'the key is encrypted. Decrypt it.'
    >>> error.hop is None
    True
    """

    what: str
    """One sentence without its full stop: what happened, and on which hop."""
    remedy: str
    """One sentence: what to do about it."""
    fault: str
    """Who has to act: ``local``, ``registry``, ``token-service``, ``network`` or ``policy``."""
    hop: str | None
    """The hop that failed: ``registry``, ``token``, ``redirect``, ``upload``, ``layer`` or ``token-redirect``."""
    origin: str | None
    """The origin of that hop: scheme, host and port."""
    failure: str | None
    """How the connection failed: ``connect``, ``timeout``, ``reset``, ``server-certificate``, ``certificate-required``,
    ``certificate-rejected``, ``tls`` or ``address-refused``."""
    evidence: Evidence | None
    """What the TLS connection showed, where there was one."""
    status: int | None
    """The status of the answer that refused."""
    code: str | None
    """The OAuth error code (RFC 6749 section 5.2) of a token service's refusal, where it is a known one."""

    def __init__(
        self,
        what: str,
        remedy: str = "",
        *,
        fault: str = "local",
        hop: str | None = None,
        origin: str | None = None,
        failure: str | None = None,
        evidence: Evidence | None = None,
        status: int | None = None,
        code: str | None = None,
        line: str | None = None,
        retry_at: int | None = None,
    ) -> None:
        super().__init__(f"{what}. {remedy}" if remedy else what)
        self.what, self.remedy, self.fault = what, remedy, fault
        self.hop, self.origin, self.failure = hop, origin, failure
        self.evidence, self.status, self.code = evidence, status, code
        self.line, self.retry_at = line, retry_at

    line: str | None
    """The exact line of configuration that would allow what the policy refused, where one would."""
    retry_at: int | None
    """When a service wants to be asked again, in Unix milliseconds."""


class ConfigError(RegauthError):
    """The configuration, an argument or a file cannot be used."""


class MisuseError(RegauthError):
    """A call that does not fit the step that was asked for, or an object in use by two at once."""


class PolicyDenied(RegauthError):
    """The hop policy refused before anything was sent; ``line`` would allow it, where something does."""


class AuthRefused(RegauthError):
    """The registry or its token service refused the credentials or the token."""


class TryLater(RegauthError):
    """The token service answered 429 or 503; ``retry_at`` is when it wants to be asked again."""


class ProtocolError(RegauthError):
    """A server's answer breaks HTTP/1.1, or holds no usable challenge or token."""


class NetworkError(RegauthError):
    """No answer came; ``failure`` says how, ``evidence`` what TLS showed."""


class CertificateRequired(NetworkError):
    """The server requires a client certificate and was shown none that it could take."""


class CertificateRejected(NetworkError):
    """The server refused the client certificate that it was shown."""
