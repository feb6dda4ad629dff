"""What ends the command: an exit code, one sentence of what happened and one of what to do."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

from ..errors import (
    AuthRefused,
    CertificateRequired,
    NetworkError,
    PolicyDenied,
    ProtocolError,
    RegauthError,
    TryLater,
)


class Exit(IntEnum):
    LINT = 1
    INPUT = 2
    POLICY = 3
    REFUSED = 4
    NETWORK = 5
    FILES = 6
    DIGEST = 7


class Failure(Exception):
    """Its text holds no secret."""

    def __init__(self, code: Exit, what: str, remedy: str, *, hop: str | None = None, origin: str | None = None) -> None:
        super().__init__(f"{what}. {remedy}")
        self.exit, self.what, self.remedy, self.hop, self.origin = code, what, remedy, hop, origin
        self.line: str | None = None

    @classmethod
    def of(cls, error: RegauthError) -> Failure:
        """The library's error, with what to do in terms of this command's options."""
        code = Exit.INPUT
        if isinstance(error, PolicyDenied):
            code = Exit.POLICY
        elif isinstance(error, NetworkError):
            code = Exit.NETWORK if error.status is None else Exit.REFUSED
        elif isinstance(error, AuthRefused | ProtocolError | TryLater):
            code = Exit.REFUSED
        failure = cls(code, error.what, advice(error), hop=error.hop, origin=error.origin)
        failure.line = error.line
        return failure

    @classmethod
    def unwritable(cls, path: Path, error: OSError) -> Failure:
        what = f"{path} cannot be written: {(error.strerror or 'unknown').lower()}"
        return cls(Exit.FILES, what, "Check the directory, its permissions and the space that is left (-o).")

    def json(self) -> dict[str, object]:
        names = ("what", "remedy", "hop", "origin", "line")
        return {"exit": int(self.exit), **{name: getattr(self, name) for name in names}}


def identity_option(hop: str | None, origin: str | None) -> str:
    """Which options give a hop an identity."""
    if hop in ("token", "token-redirect"):
        return (
            f"Let the registry's certificate go there with --token-origin {origin} --token-identity, or give it its own "
            "with --token-cert and --token-key."
        )
    if hop == "redirect":
        return (
            f"Let the registry's certificate go there with --storage-origin {origin} --storage-identity, or give it its "
            "own with --storage-cert and --storage-key."
        )
    return "Give a client certificate and its key with --cert FILE --key FILE."


def advice(error: RegauthError) -> str:
    elsewhere = {"token": "token", "token-redirect": "token", "redirect": "storage"}.get(error.hop or "")
    evidence = error.evidence
    if isinstance(error, PolicyDenied) and error.line and "[[pair]]" in error.line:
        return f"If you trust it with the password, add --token-origin {error.origin}; or to regauth.toml: {error.line}"
    if error.failure == "address-refused" and elsewhere:
        return f"If this address is meant, add --{elsewhere}-origin {error.origin} --{elsewhere}-local."
    if error.failure == "server-certificate":
        return error.remedy.replace("(ca)", "(--ca FILE)")
    if error.failure == "tls":
        return error.remedy.replace("use http for it", "use http for it (--http)")
    if isinstance(error, CertificateRequired) and (evidence is None or evidence.shown == "no-pair"):
        return identity_option(error.hop, error.origin)
    if isinstance(error, AuthRefused) and error.hop == "token":
        return "Check --user and the password on standard input."
    return error.remedy
