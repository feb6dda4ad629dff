"""``regauth pull``: an image into an OCI image layout, every byte checked."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from .. import Agent, Reference
from ..aio import Response, Session
from ..errors import NetworkError, RegauthError
from . import options
from .failure import Exit, Failure
from .image import Descriptor, Source, expect, here

__all__ = ["here", "platform", "run"]

PARALLEL = 3
"""Blobs at one time; containerd's and Docker's default."""
FRUITLESS, FRUIT = 3, 64 * 1024
"""Attempts in a row that bring less than so many bytes, after which a broken download is given up."""
Grow = Callable[[int], None]


def platform(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+(/v[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no platform; write linux/arm64 or linux/arm/v7")
    return text


async def run(given: argparse.Namespace) -> int:
    image = Reference(given.image)
    agent, origin = options.agent(given, image)
    rows: list[dict[str, Any]] = []
    transcripts: list[str] = []

    def observe(response: Response) -> None:
        rows.extend(row(one) for one in response.sent)
        transcripts.append(response.explain())

    async with Session(agent, timeout=given.timeout, observe=observe) as session:
        source = await first(agent, session, image, origin)
        try:
            pulled = await pull(source, given.output, given.platform, quiet=given.json)
        finally:
            if given.explain:
                print("".join(transcripts), end="", file=sys.stderr)
    rows.sort(key=lambda one: one["begun"])
    if given.json:
        print(json.dumps({"image": str(image), **pulled, "requests": rows}))
    else:
        print(f"{image}: {pulled['blobs']} blobs, {pulled['bytes']} bytes, {len(rows)} requests -> {given.output}")
    return 0


def row(sent: Any) -> dict[str, Any]:
    names = ("hop", "method", "origin", "path", "authorization", "reused", "status", "begun", "ended")
    shown = sent.evidence.label if sent.evidence else None
    return {name: getattr(sent, name) for name in names} | {"identity": shown}


async def first(agent: Agent, session: Session, image: Reference, origin: str) -> Source:
    """The first endpoint that has the image: mirrors in order, then the registry."""
    if origin != image.origin:
        return Source(session, origin, image)
    endpoints = agent.endpoints(image)
    for endpoint in endpoints[:-1]:
        source = Source(session, endpoint.origin, image, endpoint)
        try:
            await source.manifest(image.reference)
            return source
        except (RegauthError, Failure) as error:
            print(f"regauth: the mirror {endpoint.origin} is passed over: {error}", file=sys.stderr)
    if not endpoints:
        raise Failure(Exit.INPUT, "the configuration leaves no endpoint for this image", "Name the registry itself in it.")
    return Source(session, endpoints[-1].origin, image, endpoints[-1])


async def pull(source: Source, root: Path, platform_name: str, *, quiet: bool) -> dict[str, Any]:
    made = begin(root)
    try:
        manifest, found, blobs = await source.blobs(platform_name)
        with progress(quiet) as add:
            three = asyncio.Semaphore(PARALLEL)

            async def one(blob: Descriptor) -> None:
                async with three:
                    await fetch(source, blob, root, add(blob))

            async with asyncio.TaskGroup() as group:
                for blob in blobs:
                    group.create_task(one(blob))
        write(root / "blobs" / found.digest.replace(":", "/"), manifest)
        finish(root, found, str(source.image))
    except BaseException as error:
        shutil.rmtree(root if made else root / "blobs", ignore_errors=True)
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from None
        raise
    return {"digest": found.digest, "blobs": len(blobs), "bytes": sum(blob.size for blob in blobs)}


async def fetch(source: Source, blob: Descriptor, root: Path, grow: Grow) -> None:
    """Streams one blob to its place, checks it, and goes on with it where a connection broke."""
    algorithm, _, name = blob.digest.partition(":")
    whole = root / "blobs" / algorithm / name
    part = whole.with_name(f".{name}.partial")
    hasher, received, fruitless = hashlib.new(algorithm), 0, 0
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            while True:
                before = received
                try:
                    async with await source.blob(blob, received) as response:
                        await expect(response, (200, 206), f"the blob {blob.digest[:19]}")
                        if response.status == 200 and received:
                            grow(-received)
                            file.seek(0), file.truncate()
                            hasher, received = hashlib.new(algorithm), 0
                        async for chunk in response:
                            received += len(chunk)
                            if received > blob.size:
                                break
                            hasher.update(chunk)
                            file.write(chunk)
                            grow(len(chunk))
                    break
                except NetworkError as error:
                    fruitless = 0 if received - before >= FRUIT else fruitless + 1
                    if error.failure not in ("reset", "timeout", "connect") or fruitless >= FRUITLESS or not received:
                        raise
    except OSError as error:
        raise Failure.unwritable(part, error) from None
    if received != blob.size or hasher.hexdigest() != name:
        what = f"the blob {blob.digest[:19]} is not what its digest says, or has {received} of {blob.size} bytes"
        raise Failure(Exit.DIGEST, what, "Push the image again.", hop="registry", origin=source.base)
    part.rename(whole)


def begin(root: Path) -> bool:
    """Begins a layout in a directory that is new or empty; whether it was made here."""
    try:
        if root.exists():
            if any(root.iterdir()):
                raise Failure(Exit.INPUT, f"{root} is there and not empty", "Name a new directory, or an empty one (-o).")
            return False
        root.mkdir()
        return True
    except OSError as error:
        raise Failure.unwritable(root, error) from None


def write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise Failure.unwritable(path, error) from None


def finish(root: Path, found: Descriptor, name: str) -> None:
    """Now it is a layout, of this one image."""
    entry: dict[str, Any] = {"mediaType": found.media_type, "digest": found.digest, "size": found.size}
    if found.platform:
        words = dict(zip(("os", "architecture", "variant"), found.platform.split("/"), strict=False))
        entry["platform"] = words
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    write(root / "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    write(root / "index.json", json.dumps(index).encode())


def progress(quiet: bool) -> AbstractContextManager[Callable[[Descriptor], Grow]]:
    """Bars, where there is a terminal and rich."""
    if quiet or not sys.stderr.isatty():
        return nullcontext(lambda blob: lambda count: None)
    try:
        from .bars import Bars
    except ImportError:
        print("regauth: for progress bars: pip install 'regauth[cli]'", file=sys.stderr)
        return nullcontext(lambda blob: lambda count: None)
    return Bars()
