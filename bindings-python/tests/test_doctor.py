"""``regauth doctor``, as people run it: on what works, and on what people get wrong. With ``-s`` pytest shows all of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import World
from test_cli import Run, arguments, command


def ca_name(world: World) -> str:
    """The serial part of the CA's common name, which is another one each time."""
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-in", world.ca], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().rsplit(" ", 1)[1]


def doctor(world: World, *more: str, image: str | None = None, **options: Any) -> Run:
    run = command("doctor", image or world.image, *arguments(world, **options), *more, password=world.password)
    if "--json" not in more:
        name = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].removesuffix(" (call)")
        print(f"\n--- {name}: exit code {run.code}\n{run.out}{run.err}")
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
            "Use a name that the certificate holds, or give the server a certificate with this name.",
        )


def test_doctor_of_a_realm_on_an_unpaired_host(world_b: World, tmp_path: Path) -> None:
    run = doctor(world_b, paired=False)
    says(
        run,
        3,
        "refused by policy: credentials for a realm on a host that is not paired with the registry "
        f"(token at {world_b.token})",
        f"If you trust it with the password, add --token-origin {world_b.token}; or to regauth.toml: [[pair]]",
    )
    assert f'token = "{world_b.token}"' in run.out.splitlines()[-1] and "--regauth FILE" in run.out
    # What it says, done to the letter: this token host wants the certificate too, and that is said next.
    says(
        doctor(world_b, "--token-origin", world_b.token, paired=False),
        4,
        "the server requires a client certificate and says so with 400",
        f"Let the registry's certificate go there with --token-origin {world_b.token} --token-identity, or give it its own",
    )
    assert doctor(world_b, "--token-origin", world_b.token, "--token-identity", paired=False).code == 0
    file = tmp_path / "regauth.toml"
    line = run.out.splitlines()[-1] + ", identity = true"
    file.write_text(line)
    assert doctor(world_b, "--regauth", str(file), paired=False).code == 0
    # A file that is of no use is said, and not only what is missing without it.
    file.write_text(f"{line} [")
    broken = doctor(world_b, "--regauth", str(file), paired=False)
    assert broken.code == 3 and f"error: {file}:1: it does not parse" in broken.err, broken.err


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
