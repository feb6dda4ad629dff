"""Registry authentication: one mTLS identity on every hop between a builder and an OCI registry.

A pull or push is several hops: the registry's API, its token endpoint, a redirect to blob storage, an upload location, a
mirror. This library decides, in one place, what each of them may be shown.

With an HTTP client of yours: :mod:`regauth.httpx`, :mod:`regauth.requests`. Without one: :mod:`regauth.aio`, over asyncio,
with TLS of this library's own. What files say, and what you say by name, is a :class:`Config`. In front of a registry:
:mod:`regauth.guard`. From a shell: ``regauth --help``.

By hand there are :class:`Flow` (HTTP messages, for any client), :class:`TlsClient` (TLS: bytes in, bytes out) and
:class:`Exchange` (a flow, TLS and HTTP/1.1, for sockets of yours). None of them opens a socket, reads a file or waits: each
says what to do next, and is told what came of it.

>>> import regauth
>>> agent = regauth.Agent(regauth.Config().credentials("https://reg.example", user="robot", password="s3cret"))
>>> flow = agent.request("GET", "https://reg.example/v2/team/app/manifests/1")
>>> step = flow.poll()                                  # Send, Credentials, Wait or Done; an error is raised
>>> step.hop, step.method, step.url, step.headers
('registry', 'GET', 'https://reg.example/v2/team/app/manifests/1', [])
>>> flow.answer(401, {"WWW-Authenticate": 'Bearer realm="https://reg.example/token",service="reg"'})
>>> flow.poll().url
'https://reg.example/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull'
>>> flow.answer(200, {}, b'{"token": "T", "expires_in": 300}')
>>> flow.poll().headers
[('Authorization', 'Bearer T')]
>>> flow.answer(200, {})
>>> flow.poll()
Done(status=200)
>>> agent.authorize("GET", "https://reg.example/v2/team/app/blobs/sha256:" + 64 * "0")
'Bearer T'

Times are Unix milliseconds. Every error is a :class:`RegauthError` with ``what``, ``remedy``, ``hop`` and ``origin``.
"""

from __future__ import annotations

from ._core import (
    Agent,
    Body,
    Challenge,
    Challenges,
    Choice,
    Close,
    Connect,
    Credentials,
    Diagnosis,
    Diagnostic,
    Done,
    Endpoint,
    Evidence,
    Exchange,
    Flaw,
    Flow,
    Head,
    Identity,
    Link,
    Profile,
    Read,
    Reference,
    Referrer,
    Scope,
    Send,
    Sent,
    TlsClient,
    Wait,
    WantBody,
    Write,
    covers,
    diagnose,
    merge_scopes,
    needed_scopes,
    parse_challenges,
)
from .config import Config, HostOptions, load_identity
from .errors import (
    AuthRefused,
    CertificateRejected,
    CertificateRequired,
    ConfigError,
    MisuseError,
    NetworkError,
    PolicyDenied,
    ProtocolError,
    RegauthError,
    TryLater,
)

ACCEPT = ", ".join(
    f"application/vnd.{name}+json"
    for name in (
        "oci.image.manifest.v1",
        "oci.image.index.v1",
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
    )
)
"""What to accept where a manifest is asked for: images and indexes, OCI's and Docker's."""

Step = Send | Credentials | Wait | Done
"""What :meth:`Flow.poll` gives."""
Do = Connect | Write | Read | WantBody | Head | Body | Credentials | Wait | Close | Done
"""What :meth:`Exchange.poll` gives."""

__all__ = [
    "ACCEPT",
    "Agent",
    "AuthRefused",
    "Body",
    "CertificateRejected",
    "CertificateRequired",
    "Challenge",
    "Challenges",
    "Choice",
    "Close",
    "Config",
    "ConfigError",
    "Connect",
    "Credentials",
    "Diagnosis",
    "Diagnostic",
    "Do",
    "Done",
    "Endpoint",
    "Evidence",
    "Exchange",
    "Flaw",
    "Flow",
    "Head",
    "HostOptions",
    "Identity",
    "Link",
    "MisuseError",
    "NetworkError",
    "PolicyDenied",
    "Profile",
    "ProtocolError",
    "Read",
    "Reference",
    "Referrer",
    "RegauthError",
    "Scope",
    "Send",
    "Sent",
    "Step",
    "TlsClient",
    "TryLater",
    "Wait",
    "WantBody",
    "Write",
    "covers",
    "diagnose",
    "load_identity",
    "merge_scopes",
    "needed_scopes",
    "parse_challenges",
]
