"""Manifests, indexes and digests, OCI's and Docker's."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import dataclass
from typing import Any

from .. import ACCEPT, Endpoint, Reference, Referrer, diagnose
from ..aio import Response, Session
from .failure import Exit, Failure, identity_option

MAX_MANIFEST = 4 << 20
"""Bytes; the registry's own limit."""
DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")


@dataclass
class Descriptor:
    media_type: str
    digest: str
    size: int
    urls: list[str]
    platform: str | None = None


def here() -> str:
    """linux, and this machine's architecture in Go's words."""
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
    machine = platform.machine()
    return f"linux/{names.get(machine, machine)}"


def descriptor(value: Any) -> Descriptor:
    if not isinstance(value, dict):
        raise malformed("a descriptor in it is none")
    digest, size, at = value.get("digest"), value.get("size"), value.get("platform")
    if not isinstance(digest, str) or not DIGEST.match(digest):
        raise malformed("a digest in it is none")
    if not isinstance(size, int) or size < 0:
        raise malformed("a size in it is none")
    name = None
    if isinstance(at, dict):
        name = "/".join(str(at[key]) for key in ("os", "architecture", "variant") if at.get(key))
    urls = [url for url in value.get("urls") or [] if isinstance(url, str)]
    return Descriptor(str(value.get("mediaType", "application/octet-stream")), digest, size, urls, name)


def malformed(why: str) -> Failure:
    what = f"the registry's manifest cannot be used: {why}"
    return Failure(Exit.REFUSED, what, "Push the image again with a current tool.")


class Source:
    """An image at one endpoint: a mirror or its registry."""

    def __init__(self, session: Session, base: str, image: Reference, endpoint: Endpoint | None = None) -> None:
        self.session, self.base, self.image, self._endpoint = session, base, image, endpoint

    def url(self, rest: str) -> str:
        return self._endpoint.url(rest) if self._endpoint else f"{self.base}/v2/{self.image.repository}/{rest}"

    async def manifest(self, reference: str) -> tuple[bytes, str, str]:
        """Its bytes, media type and digest, checked."""
        response = await self.session.get(self.url(f"manifests/{reference}"), headers={"Accept": ACCEPT})
        async with response:
            await expect(response, (200,), f"the manifest of {self.image}")
            content = b""
            async for chunk in response:
                content += chunk
                if len(content) > MAX_MANIFEST:
                    raise Failure(Exit.REFUSED, "the manifest is longer than 4 MiB", "Check that the name is that of an image.")
        said = response.head.get("docker-content-digest")
        for digest in (reference if DIGEST.match(reference) else None, said):
            if digest and DIGEST.match(digest) and digest_of(content, digest) != digest:
                what = f"the manifest is not what the digest {digest[:19]} says (registry at {self.base})"
                raise Failure(Exit.DIGEST, what, "Push the image again.")
        kind = (response.head.get("content-type") or "").partition(";")[0]
        return content, kind, digest_of(content, "sha256:")

    async def blobs(self, platform_name: str) -> tuple[bytes, Descriptor, list[Descriptor]]:
        """The manifest for a platform, and config and layers, each once."""
        content, kind, digest = await self.manifest(self.image.reference)
        document = read(content)
        found = Descriptor(document.get("mediaType", kind), digest, len(content), [])
        if isinstance(document.get("manifests"), list):
            listed = [descriptor(one) for one in document["manifests"]]
            chosen = next((one for one in listed if fits(platform_name, one.platform)), None)
            if chosen is None:
                have = ", ".join(one.platform for one in listed if one.platform)
                what = f"the index has no image for {platform_name}; it has {have}"
                raise Failure(Exit.INPUT, what, "Name one of those with --platform.")
            content, kind, _ = await self.manifest(chosen.digest)
            document = read(content)
            kind = document.get("mediaType", kind)
            found = Descriptor(kind, chosen.digest, len(content), [], chosen.platform)
        layers = document.get("layers")
        if not isinstance(layers, list) or "config" not in document:
            raise malformed("it is neither an image nor an index (Docker's schema 1 is not read)")
        each = {one.digest: one for one in (descriptor(part) for part in [document["config"], *layers])}
        return content, found, list(each.values())

    async def blob(self, blob: Descriptor, offset: int, *, only: int | None = None) -> Response:
        """The content from an offset on; of a foreign layer from its own URL, where the registry has none."""
        end = "" if only is None else str(offset + only - 1)
        headers = {"Range": f"bytes={offset}-{end}"} if offset or only is not None else {}
        response = await self.session.get(self.url(f"blobs/{blob.digest}"), headers=headers)
        if response.status == 404 and blob.urls:
            await response.aclose()
            by = Referrer.registry(self.base)
            response = await self.session.request("GET", blob.urls[0], headers=headers, by=by, hop="layer")
        return response


def fits(want: str, have: str | None) -> bool:
    return have is not None and (have == want or have.startswith(f"{want}/"))


def read(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        raise malformed("it is no JSON") from None
    if not isinstance(document, dict):
        raise malformed("it is no JSON object")
    return document


def digest_of(content: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


async def expect(response: Response, good: tuple[int, ...], wanted: str) -> None:
    """What an answer other than the one that was hoped for means."""
    if response.status in good:
        return
    body = b""
    async for chunk in response:
        body = (body + chunk)[:8192]
        if len(body) == 8192:
            break
    last = response.sent[-1]
    place = f" ({last.hop} at {last.origin})"
    status = response.status
    failed = dict(hop=last.hop, origin=last.origin)
    if status == 400 and b"The plain HTTP request was sent to HTTPS port" in body:
        raise Failure(Exit.REFUSED, f"the server speaks https on this port{place}", "Leave out --http.", **failed)
    found = diagnose(status, response.head.get("content-type"), body, last.identity, last.evidence)
    if found is not None and found.state != "not-asked":
        none = last.evidence is not None and last.evidence.shown == "no-pair"
        remedy = identity_option(last.hop, last.origin) if none else found.remedy
        failure = Failure(Exit.REFUSED, f"{found.what}{place}", remedy, **failed)
        if none and last.hop == "redirect":
            registry = response.sent[0].origin
            failure.line = f'[[pair]] registry = "{registry}", storage = "{last.origin}", identity = true'
        raise failure
    code = said(body)
    what = f"{wanted} was answered with {status}{code}{place}"
    remedy = "Check what the server's log says about this request."
    if last.hop != "registry":
        remedy = "Check what the storage wants: a signed URL may have expired, or the clocks may differ."
    elif status == 401 and not last.authorization:
        remedy = "Give a user with --user NAME --password-stdin."
    elif status in (401, 403):
        remedy = "Check the credentials, and what they are allowed to do on this repository."
    elif status == 404:
        remedy = "Check the image's name, tag and digest."
    elif status in (429, 503):
        remedy = "Try again later."
    raise Failure(Exit.REFUSED, what, remedy, **failed)


def said(body: bytes) -> str:
    """The first error of a body as the distribution specification has it, without what a terminal would obey."""
    try:
        error = json.loads(body)["errors"][0]
        text = f"{error.get('code', '')} {error.get('message', '')}".strip()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
    clean = "".join(c for c in text if c.isprintable())[:160]
    return f": {clean}" if clean else ""
