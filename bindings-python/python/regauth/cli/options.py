"""The options that several commands share, and the configuration that they come to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Literal

from .. import Agent, Config, HostOptions, Reference, load_identity
from .failure import Exit, Failure

SOURCES: dict[str, tuple[int | Literal["+"], str]] = {
    "docker-certs": (1, "Docker's certs.d"),
    "containers-certs": ("+", "certs.d of podman, buildah, skopeo and CRI-O, in their search order"),
    "hosts": ("+", "containerd's config_path, in its order"),
    "buildkitd": (1, "buildkitd.toml"),
    "registries": (1, "registries.yaml of k3s and RKE2"),
    "docker-config": (1, "Docker's config.json"),
    "docker-auth-config": (1, "what is in DOCKER_AUTH_CONFIG"),
    "auth-json": ("+", "podman's auth.json, in its order"),
    "kubernetes": ("+", "image pull secrets"),
    "regauth": (1, "regauth.toml"),
}
MAX_PASSWORD = 64 * 1024


class Source(argparse.Action):
    """Keeps the order in which sources are given: an earlier one holds before a later one."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: object, option: str | None = None) -> None:
        known = list(getattr(namespace, "sources", []))
        known.append(((option or "").lstrip("-").replace("-", "_"), values))
        namespace.sources = known


def sources(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("configuration files", "An earlier one holds before a later one, options before all.")
    for name, (count, text) in SOURCES.items():
        metavar = "DIR" if name in ("docker-certs", "containers-certs", "hosts") else "FILE"
        group.add_argument(f"--{name}", metavar=metavar, nargs=count, type=Path, action=Source, dest="sources", help=text)
    group.add_argument("--root", metavar="DIR", type=Path, help="absolute names in these files are looked for in here")
    group.add_argument("--system", action="store_true", help="the usual files of this machine that are there")
    parser.set_defaults(sources=[])


def registry(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the registry")
    group.add_argument("--cert", metavar="FILE", action="append", default=[], help="client certificate (PEM, leaf first)")
    group.add_argument("--key", metavar="FILE", action="append", default=[], help="its key; both may be given again")
    group.add_argument("--try-pairs", action="store_true", help="the next certificate after TLS has refused one")
    group.add_argument("--try-pairs-on-status", action="store_true", help="and after 403, 404 or 5xx")
    group.add_argument("--ca", metavar="FILE", action="append", default=[], help="more certificate authorities (PEM)")
    group.add_argument("--user", metavar="NAME", help="user name; the password comes by")
    group.add_argument("--password-stdin", action="store_true", help="standard input")
    group.add_argument("--http", action="store_true", help="this registry speaks plain http")
    group.add_argument("--timeout", metavar="SECONDS", type=seconds, default=30, help="for each answer to begin or go on")
    for kind, text in (("token", "its token service, if that is another host"), ("storage", "where it keeps its blobs")):
        other = parser.add_argument_group(text)
        other.add_argument(f"--{kind}-origin", metavar="ORIGIN", help=f"such as https://{kind}.example")
        other.add_argument(f"--{kind}-identity", action="store_true", help="gets the registry's certificate")
        other.add_argument(f"--{kind}-cert", metavar="FILE", help="a certificate of its own")
        other.add_argument(f"--{kind}-key", metavar="FILE")
        other.add_argument(f"--{kind}-local", action="store_true", help="may be at a more local address")


def seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 3600:
        raise ValueError(text)
    return value


def life(text: str) -> int:
    unit = {"s": 1, "m": 60, "h": 3600}[text[-1:]] if text[-1:] in "smh" and text[:-1].isdigit() else 0
    if not unit:
        raise argparse.ArgumentTypeError(f"{text!r} is no life; write 90s, 30m or 4h")
    return int(text[:-1]) * unit


def wrong(what: str, remedy: str) -> Failure:
    return Failure(Exit.INPUT, what, remedy)


def config_of_sources(given: argparse.Namespace) -> Config:
    config = Config().system() if given.system else Config().system_roots()
    if given.root:
        config.root(given.root)
    for name, paths in given.sources:
        if name == "docker_auth_config":
            config.docker_auth_config(paths[0].read_bytes())
        else:
            getattr(config, name)(*paths)
    return config


def agent(given: argparse.Namespace, image: Reference) -> tuple[Agent, str]:
    """The agent, and the origin of the registry's API."""
    origin = f"http://{image.domain}" if given.http else image.origin
    return Agent(config(given, origin)), origin


def config(given: argparse.Namespace, origin: str) -> Config:
    made = config_of_sources(given).ca(*given.ca)
    for one in made.diagnostics:
        if one.severity == "error":
            print(f"regauth: {one}", file=sys.stderr)
    if len(given.cert) != len(given.key):
        what = f"{len(given.cert)} times --cert and {len(given.key)} times --key: one is given without the other"
        raise wrong(what, "Give both, in the same order.")
    if given.cert:
        options: HostOptions = {
            "identities": [load_identity(*pair) for pair in zip(given.cert, given.key, strict=True)],
            "try_pairs": given.try_pairs,
            "try_pairs_on_status": given.try_pairs_on_status,
        }
        made.host(origin, **options)
    for kind in ("token", "storage"):
        other, identity, cert, key, local = (
            getattr(given, f"{kind}_{name}") for name in ("origin", "identity", "cert", "key", "local")
        )
        if other is None:
            if identity or cert or key or local:
                what = f"an option for the registry's {kind} origin is given, and not which origin that is"
                raise wrong(what, f"Add --{kind}-origin ORIGIN.")
            continue
        if (cert is None) != (key is None):
            raise wrong(f"one of --{kind}-cert and --{kind}-key is given without the other", "Give both.")
        if cert:
            made.identity(other, cert, key)
        token, storage = (other, None) if kind == "token" else (None, other)
        made.pair(origin, token=token, storage=storage, identity=identity, local=local)
    if (given.user is None) == given.password_stdin:
        raise wrong("one of --user and --password-stdin is given without the other", "Give both, or neither.")
    if given.user:
        made.credentials(origin, user=given.user, password=password())
    return made


def password() -> bytes:
    text = sys.stdin.buffer.read(MAX_PASSWORD + 1)
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if not text or len(text) > MAX_PASSWORD:
        raise wrong("the password on standard input is empty or longer than 64 KiB", "Give the password alone.")
    return text
