"""The script of the README, as it stands there but for the names, against scenario A."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from conftest import ROOT, World


@pytest.mark.parametrize("readme", ["README.md", "bindings-python/README.md"])
def test_the_script_pulls_a_manifest(world_a: World, readme: str) -> None:
    found = re.search(r"```python\n(import httpx.*?)```", (ROOT / readme).read_text(), re.DOTALL)
    assert found
    script = found.group(1)
    assert len(script.splitlines()) == 5
    pair = world_a.pair()
    for old, new in [
        ("https://reg.example", world_a.registry),
        ("ca.crt", str(world_a.ca)),
        ("client.crt", str(pair.cert)),
        ("client.key", str(pair.key)),
    ]:
        script = script.replace(f'"{old}', f'"{new}')
    # This machine may be busy, and httpx waits 5 s.
    script = script.replace("Transport(agent))", "Transport(agent), timeout=60)")
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and "'schemaVersion': 2" in run.stdout, run.stdout + run.stderr
