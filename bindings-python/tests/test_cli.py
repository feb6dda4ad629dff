"""The command, as people run it, against nginx and distribution v3."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulls
from conftest import World


@dataclass
class Run:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def command(*arguments: str | Path, password: str | None = None, **env: str) -> Run:
    line = [sys.executable, "-m", "regauth", *map(str, arguments)]
    done = subprocess.run(line, input=password or "", capture_output=True, text=True, timeout=120, env=env or None)
    assert not password or password not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def arguments(world: World, *, pair: str | None = "client", ca: Path | None = None, paired: bool = True) -> list[str]:
    line = ["--ca", str(ca or world.ca), "--user", world.user, "--password-stdin"]
    if pair:
        line += ["--cert", str(world.pair(pair).cert), "--key", str(world.pair(pair).key)]
    if world.scenario == "B" and paired:
        line += ["--token-origin", world.token, "--token-identity"]
    if world.scenario == "paired" and paired:
        line += ["--storage-origin", world.blobs, "--storage-identity"]
    return line


def test_pull_writes_a_layout(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = command("pull", world.image, "-o", out, "--json", *arguments(world), password=world.password)
    assert run.code == 0, run.err
    assert run.json["digest"] == world.about["manifest"] and run.json["blobs"] == 4
    print("regauth pull", pulls.check(world))
    index = json.loads((out / "index.json").read_text())
    assert index["manifests"][0]["digest"] == world.about["manifest"]
    for path in (out / "blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    inspected = subprocess.run(["skopeo", "inspect", f"oci:{out}"], capture_output=True, text=True, check=True)
    assert json.loads(inspected.stdout)["Layers"] == world.about["layers"]
    again = command("pull", world.image, "-o", out, *arguments(world), password=world.password)
    assert again.code == 2 and "is there and not empty" in again.err


def test_pull_says_what_is_wrong_and_leaves_nothing(world_b: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = [*arguments(world_b), "-o", str(out)]
    name = world_b.image.removesuffix(":one")
    for image, code, what, remedy in [
        (f"{name}:none", 4, "was answered with 404: MANIFEST_UNKNOWN", "Check the image's name, tag and digest."),
        ("127.0.0.1:5000/Demo/App", 2, "is no repository", "Name an image such as"),
        ("https://127.0.0.1/app", 2, "an image name has no scheme", "Name an image such as"),
        ("127.0.0.1:1/demo/app:one", 5, "no connection (registry at https://127.0.0.1:1)", "Check that the server runs"),
    ]:
        run = command("pull", image, *line, password=world_b.password)
        assert run.code == code and what in run.err and remedy in run.err, run.err
        assert not out.exists()
    wrong = command("pull", world_b.image, *line, password="wr0ng")
    assert wrong.code == 4 and "Check --user and the password" in wrong.err, wrong.err
    platform = command("pull", f"{name}:multi", *line, "--platform", "linux/s390x", password=world_b.password)
    assert platform.code == 2 and "it has linux/amd64, linux/arm64" in platform.err, platform.err
    multi = command("pull", f"{name}:multi", *line, "--platform", "linux/arm64", password=world_b.password)
    assert multi.code == 0, multi.err


def test_token_is_for_scripts(world_a: World) -> None:
    run = command("token", world_a.image, *arguments(world_a), password=world_a.password)
    assert run.code == 0, run.err
    pair = world_a.pair()
    curl = ["curl", "-sS", "--cacert", world_a.ca, "--cert", pair.cert, "--key", pair.key]
    curl += ["-H", run.out.strip(), "-H", f"Accept: {pulls.ACCEPT['Accept']}", world_a.url("manifests/one")]
    fetched = subprocess.run(list(map(str, curl)), capture_output=True, check=True).stdout
    assert f"sha256:{hashlib.sha256(fetched).hexdigest()}" == world_a.about["manifest"]
    push = command("token", world_a.image, "--push", "--json", *arguments(world_a), password=world_a.password)
    assert push.json["Authorization"].startswith("Bearer ")


def test_explain_and_lint_of_files(tmp_path: Path) -> None:
    certs = tmp_path / "certs.d" / "reg.example"
    certs.mkdir(parents=True)
    (certs / "client.cert").write_text("nonsense")
    lint = command("lint", "--docker-certs", certs.parent)
    assert lint.code == 1 and "certificate-without-key" in lint.out and "1 errors" in lint.out, lint.out
    assert command("lint", "--json", "--docker-certs", certs.parent).json[0]["severity"] == "error"
    explain = command("explain", "reg.example/a/b:1", "--token-host", "https://auth.example", "--docker-certs", certs.parent)
    assert explain.code == 0 and "https://auth.example" in explain.out
    assert command("explain", "reg.example/a/b:1", "--json").json["repository"] == "a/b"
    missing = command("lint", "--docker-config", tmp_path / "none.json")
    assert missing.code == 1 and "it does not exist" in missing.out


def test_mint_makes_what_openssl_takes(tmp_path: Path) -> None:
    out = tmp_path / "certs"
    run = command("mint", "buildkitd", "--dns", "build.example", "--ttl", "1h", "-o", out, "--json")
    assert run.code == 0, run.err
    files = run.json["files"]
    assert all((out / name).stat().st_mode & 0o777 == 0o600 for name in files)
    ca = next(name for name in files if name.startswith("ca"))
    certs = [name for name in files if name.endswith((".crt", ".pem")) and "key" not in name and name != ca]
    for name in certs:
        checked = subprocess.run(["openssl", "verify", "-CAfile", out / ca, out / name], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
    assert certs and command("mint", "buildkitd", "-o", out).code == 6
    assert command("mint", "buildkitd", "--ttl", "2d", "-o", tmp_path / "x").code == 2


def test_wrong_lines_keep_values_to_themselves() -> None:
    for line, what in [
        (["--cert", "c"], "is given without the other"),
        (["--user", "u"], "is given without the other"),
        (["--token-identity"], "not which origin"),
        (["--cert", "/none/c", "--key", "/none/k"], "/none/c cannot be read: no such file or directory"),
        (["--token-origin", "https://me:hunter2@t.example"], "holds user information"),
    ]:
        run = command("doctor", "reg.example/a:1", *line)
        assert run.code == 2 and what in run.err, run.err
        assert "hunter2" not in run.out + run.err

