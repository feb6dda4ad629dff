"""The main job, by any client: what nginx has to have seen of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from conftest import World

ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
ME = "CN=buildbot-1"


def blobs(manifest: bytes) -> list[dict[str, Any]]:
    document = json.loads(manifest)
    return [document["config"], *document["layers"]]


def same(world: World, manifest: bytes, contents: list[bytes]) -> None:
    """Every byte is what its digest says."""
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == world.about["manifest"]
    for blob, content in zip(blobs(manifest), contents, strict=True):
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == blob["digest"]


def check(world: World, pulls: int = 1) -> str:
    """One challenge, one token, the manifest, config and three layers; nothing shown where it does not belong."""
    records = world.records()
    redirected = world.blobs != world.registry
    expected = 7 + 5 * (pulls - 1) + (4 * pulls if redirected else 0)
    text = "\n".join(record["brief"] for record in records)
    assert len(records) == expected, text
    assert sum(record["status"] == 401 for record in records) == 1, text
    assert sum(record["token"] for record in records) == 1, text
    for record in records:
        third = redirected and record["server"] == world.about["blob_host"].split(":")[0]
        identity = not third or world.scenario == "paired"
        assert record["dn"] == (ME if identity else None), record["brief"]
        assert record["showed_identity"] == identity, record["brief"]
        if third:
            assert record["authz"] is None, record["brief"]
        elif record["token"]:
            assert record["authz"] == "Basic", record["brief"]
        else:
            assert record["authz"] == (None if record["status"] == 401 else "Bearer"), record["brief"]
    connections = {record["connection"]: record for record in records}
    full = Counter(record["server"] for record in connections.values() if not record["reused"])
    return f"{world.scenario}: {len(records)} requests, {len(connections)} connections, {sum(full.values())} full handshakes"
