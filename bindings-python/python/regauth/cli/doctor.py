"""``regauth doctor``: walks the hops of a real pull, and says what each of them showed and wanted.

Each endpoint of the image is walked, mirrors first: manifest, config, and the first bytes of a layer.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from .. import Endpoint, Evidence, Reference, Sent
from ..aio import Response, Session
from ..errors import CertificateRequired, RegauthError
from . import options
from .failure import Failure
from .image import Source, expect

SKEW = 2
"""Seconds of difference between two clocks that a Date field, which has whole seconds, can show by itself."""


@dataclass
class Walk:
    """What was seen at one endpoint."""

    origin: str
    mirror: bool
    hops: list[dict[str, Any]] = field(default_factory=list)
    failure: Failure | None = None


async def run(given: argparse.Namespace) -> int:
    image = Reference(given.image)
    agent, origin = options.agent(given, image)
    walks = []
    own = origin == image.origin
    endpoints: list[Endpoint | None] = [*agent.endpoints(image)] if own else [None]
    for endpoint in endpoints:
        base = endpoint.origin if endpoint else origin
        walk = Walk(base, bool(endpoint and endpoint.mirror))
        async with Session(agent, timeout=given.timeout, observe=lambda response: watch(walk, response)) as session:
            try:
                await hops(Source(session, base, image, endpoint), given.platform)
            except Failure as failure:
                walk.failure = failure
            except RegauthError as error:
                walk.failure = Failure.of(error)
                bare = error.evidence is None or error.evidence.shown == "no-pair"
                if isinstance(error, CertificateRequired) and bare and error.hop in ("token", "redirect"):
                    kind = "token" if error.hop == "token" else "storage"
                    walk.failure.line = f'[[pair]] registry = "{base}", {kind} = "{error.origin}", identity = true'
        walks.append(walk)
    print(as_json(image, walks) if given.json else as_text(image, walks))
    return next((int(walk.failure.exit) for walk in walks if walk.failure), 0)


async def hops(source: Source, platform: str) -> None:
    _, _, blobs = await source.blobs(platform)
    async with await source.blob(blobs[0], 0) as config:
        await expect(config, (200,), "the image's config")
        await config.read()
    for layer in blobs[1:2]:
        async with await source.blob(layer, 0, only=1) as first:
            await expect(first, (200, 206), "the first layer")


def watch(walk: Walk, response: Response) -> None:
    """Adds the hops of a response, each with its lines of the transcript."""
    notes: list[list[str]] = []
    for line in response.explain().splitlines():
        if line.startswith("  ") and notes:
            notes[-1].append(line.strip())
        else:
            notes.append([])
    for number, sent in enumerate(response.sent):
        lines = notes[number] if number < len(notes) else []
        walk.hops.append(hop(sent, response.addresses.get(sent.origin), lines))


def hop(sent: Sent, address: str | None, notes: list[str]) -> dict[str, Any]:
    evidence = sent.evidence
    skew = None
    if sent.date:
        try:
            skew = round(parsedate_to_datetime(sent.date).timestamp() - sent.begun / 1000)
        except ValueError:
            pass
    return {
        "hop": sent.hop,
        "method": sent.method,
        "url": sent.url,
        "origin": sent.origin,
        "address": address,
        "status": sent.status,
        "ms": (sent.ended or sent.begun) - sent.begun,
        "connection": "kept" if sent.reused else "resumed" if evidence and evidence.resumed else "new",
        "tls": evidence.version if evidence else None,
        "asked": evidence.asked if evidence else None,
        "issuers": evidence.hints if evidence else [],
        "configured": sent.identity,
        "shown": evidence.label if evidence else None,
        "certificate": certificate(sent, evidence),
        "sent": {"Basic": "password", "Bearer": "token", None: "nothing"}.get(sent.authorization, "credentials"),
        "skew": skew,
        "notes": [note for note in notes if not note.startswith(("answer ", "address ", "failed:"))],
    }


def certificate(sent: Sent, evidence: Evidence | None) -> str:
    """What the server asked for, and what it was shown."""
    if evidence is None:
        return "plain http: no certificate" if sent.origin.startswith("http:") else "TLS did not get that far"
    if not evidence.asked:
        configured = f"; {sent.identity} is configured and was not shown" if sent.identity else ""
        return f"none asked for{configured}"
    named = " or ".join(evidence.hints[:3]) or "anybody"
    asked = f"asked for one issued by {named}"
    if evidence.label:
        issuer = f" (issued by {evidence.issuer})" if evidence.issuer else ""
        flaw = f", and {evidence.flaw}" if evidence.flaw else ""
        shown = "was shown" if evidence.finished else "was to be shown, and the handshake did not get that far"
        return f"{asked}; {evidence.label}{issuer} {shown}{flaw}"
    why = "; ".join(evidence.why_none) or "none is configured for it"
    return f"{asked}; none was shown: {why}"


def missing(walks: list[Walk]) -> list[str]:
    return list(dict.fromkeys(walk.failure.line for walk in walks if walk.failure and walk.failure.line))


def as_json(image: Reference, walks: list[Walk]) -> str:
    each = [
        {
            "origin": walk.origin,
            "mirror": walk.mirror,
            "hops": walk.hops,
            "failure": walk.failure.json() if walk.failure else None,
        }
        for walk in walks
    ]
    return json.dumps({"image": str(image), "endpoints": each, "missing": missing(walks)})


def as_text(image: Reference, walks: list[Walk]) -> str:
    lines = [str(image)]
    for walk in walks:
        lines += ["", f"{'mirror' if walk.mirror else 'registry'} {walk.origin}"]
        for number, one in enumerate(walk.hops, 1):
            lines += text_of(number, one)
        lines += clocks(walk)
        if walk.failure:
            lines += [f"  FAILED: {walk.failure.what}.", f"  to do: {walk.failure.remedy}"]
        else:
            lines.append("  good: manifest, config and layer came through every hop")
    if pairs := missing(walks):
        lines += ["", "missing, if these hosts are meant (with identity = true they get the registry's certificate too). Write these"]
        lines += ["lines to a file regauth.toml, and name it with --regauth FILE:"]
        lines += pairs  # At the margin, so that they can be pasted.
    return "\n".join(lines)


def text_of(number: int, one: dict[str, Any]) -> list[str]:
    status = one["status"] or "no answer"
    tls = f"TLS {one['tls']}" if one["tls"] else "no TLS"
    return [
        f"  {number} {one['hop']}: {one['method']} {brief(one['url'])} -> {status}, {one['ms']} ms",
        f"      to {one['address'] or 'no address'}, {tls}, {one['connection']} connection, sent: {one['sent']}",
        f"      certificate: {one['certificate']}",
        *(f"      {note}" for note in one["notes"]),
    ]


def brief(url: str) -> str:
    head, mark, digest = url.partition("sha256:")
    return f"{head}{mark}{digest[:8]}…" if mark and len(digest) > 16 else url


def clocks(walk: Walk) -> list[str]:
    skews: dict[str, int] = {one["origin"]: one["skew"] for one in walk.hops if one["skew"] is not None}
    said = []
    for origin, skew in skews.items():
        if abs(skew) <= SKEW:
            said.append(f"  clock of {origin}: as ours")
        else:
            said.append(f"  clock of {origin}: {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} ours; set one of them")
    return said
