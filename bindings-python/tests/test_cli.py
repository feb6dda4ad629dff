"""The command, as people run it, against nginx and distribution v3."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
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


def ca_name(world: World) -> str:
    """The serial part of the CA's common name, which is another one each time."""
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-in", world.ca], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().rsplit(" ", 1)[1]


def doctor(world: World, *more: str, image: str | None = None, **options: Any) -> Run:
    run = command("doctor", image or world.image, *arguments(world, **options), *more, password=world.password)
    print(f"\n--- exit {run.code}\n{run.out}{run.err}")
    return run


def test_doctor_finds_nothing_wrong(world: World) -> None:
    run = doctor(world)
    assert run.code == 0
    assert "good: manifest, config and layer came through every hop" in run.out
    assert f"certificate: asked for one issued by CN=regauth test CA {ca_name(world)}; " in run.out
    assert f"{world.pair().cert} (issued by CN=regauth test CA {ca_name(world)}) was shown" in run.out
    assert "challenge Bearer, realm" in run.out and "got a token for 300 s" in run.out
    assert f"clock of {world.registry}: as ours" in run.out and f"clock of {world.token}: as ours" in run.out
    as_json = doctor(world, "--json").json
    hops = as_json["endpoints"][0]["hops"]
    assert as_json["missing"] == [] and [one["hop"] for one in hops[:3]] == ["registry", "token", "registry"]
    for one in hops:
        elsewhere = one["hop"] == "redirect" and world.scenario == "C"
        assert (one["shown"] is None) == elsewhere and one["tls"] == "1.3" and one["address"].startswith("127.0.0.")


@contextlib.contextmanager
def relay(to: str, host: str) -> Iterator[str]:
    """The same server at an address that its certificate is not made out to."""
    target, port = to.rsplit(":", 1)
    listener = socket.create_server((host, 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((target, int(port)))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        listener.close()


def says(run: Run, code: int, what: str, remedy: str) -> None:
    assert run.code == code, run.out + run.err
    failed = next(line for line in run.out.splitlines() if line.startswith("  FAILED: "))
    to_do = next(line for line in run.out.splitlines() if line.startswith("  to do: "))
    assert what in failed and remedy in to_do, run.out
    assert failed.endswith(".") and to_do[-1] in '."'


def test_doctor_of_no_certificate(world_a: World) -> None:
    says(
        doctor(world_a, pair=None),
        4,
        f"the server requires a client certificate and says so with 400; it asked for one issued by CN=regauth test CA {ca_name(world_a)}; "
        f"none is configured for it (registry at {world_a.registry})",
        "Give a client certificate and its key with --cert FILE --key FILE.",
    )


def test_doctor_of_a_wrong_ca(world_a: World) -> None:
    says(
        doctor(world_a, ca=Path(world_a.about["wrong_ca"])),
        5,
        f"the server's certificate is issued by nobody who is trusted here (registry at {world_a.registry})",
        "Give the certificate authority that issued the server's certificate (--ca FILE).",
    )


def test_doctor_of_an_expired_certificate(world_a: World) -> None:
    says(
        doctor(world_a, pair="expired"),
        4,
        f"the server refused the client certificate and says so with 400; it asked for one issued by CN=regauth test CA {ca_name(world_a)}; "
        f"{world_a.pair('expired').cert}, issued by CN=regauth test CA {ca_name(world_a)}, was sent, and it has expired 5 h ago",
        "Renew the client certificate, or check this machine's clock.",
    )


def test_doctor_of_a_wrong_name(world_a: World) -> None:
    with relay(world_a.about["registry"], "127.0.0.9") as address:
        says(
            doctor(world_a, image=f"{address}/demo/app:one"),
            5,
            "the server's certificate is made out to ",
            "Use a name that the certificate holds, or make one with this name.",
        )


def test_doctor_of_a_realm_on_an_unpaired_host(world_b: World) -> None:
    run = doctor(world_b, paired=False)
    says(
        run,
        3,
        "refused by policy: credentials for a realm on a host that is not paired with the registry "
        f"(token at {world_b.token})",
        f"If you trust it with the password, add --token-origin {world_b.token}; or to regauth.toml: [[pair]]",
    )
    assert "missing in regauth.toml" in run.out and f'token = "{world_b.token}"' in run.out.splitlines()[-1]


def test_doctor_names_what_is_missing_of_every_endpoint(world_b: World, tmp_path: Path) -> None:
    """A mirror and the registry, each with a token host that is not paired: both lines at once. They are the same server
    by two names, of which one is a name of this machine."""
    port = world_b.about["registry"].rsplit(":", 1)[1]
    file = tmp_path / "regauth.toml"
    pair = world_b.pair()
    file.write_text(
        f'[registry."127.0.0.1:{port}"]\nmirrors = ["https://localhost:{port}"]\n'
        f'[host."https://localhost:{port}"]\nidentity = {{ certificate = "{pair.cert}", key = "{pair.key}" }}\n'
    )
    auth = tmp_path / "config.json"
    auth.write_text(json.dumps({"auths": {f"localhost:{port}": {"auth": "cm9ib3Q6czNjcmV0"}}}))
    line = arguments(world_b, paired=False)
    run = command(
        "doctor", world_b.image, *line, "--regauth", file, "--docker-config", auth, "--json", password=world_b.password
    )
    assert run.code == 3
    lines = run.json["missing"]
    assert len(lines) == 2 and all(f'token = "{world_b.token}"' in one for one in lines), lines
    # With both lines, which lend the certificate too, everything is good.
    file.write_text(file.read_text() + "".join(f"{one}, identity = true\n" for one in lines))
    run = command("doctor", world_b.image, *line, "--regauth", file, "--docker-config", auth, password=world_b.password)
    print(run.out)
    assert run.code == 0 and run.out.count("good: manifest, config and layer") == 2, run.out


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

