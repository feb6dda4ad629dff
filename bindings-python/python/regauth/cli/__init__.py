"""The command ``regauth``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import _core
from ..errors import RegauthError
from . import doctor, options, pull
from .failure import Exit, Failure

__all__ = ["main"]

EPILOG = """\
from the environment: HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR. exit codes: 0 done, and nothing is wrong; 1 lint found an error; 2 wrong input; 3 refused by policy before anything was sent;
4 refused by registry, token service or storage; 5 no connection, or TLS; 6 files could not be written; 7 content that its
digest does not match. `regauth doctor` ends with the code of its first failure.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives its exit code."""
    parser = argparse.ArgumentParser(
        "regauth", description="One identity on every hop to a registry.", epilog=EPILOG
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")

    def command(name: str, text: str, *, image: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, epilog=EPILOG)
        if image:
            made.add_argument("image", metavar="IMAGE", help="such as registry.example/team/app:1")
        made.add_argument("--json", action="store_true", help="machine-readable output")
        return made

    walk = command("doctor", "walk the hops of a real pull, and say what each of them shows and wants")
    walk.add_argument("--platform", metavar="OS/ARCH[/VARIANT]", type=pull.platform, default=pull.here())
    options.registry(walk)
    options.sources(walk)

    get = command("pull", "pull an image into an OCI image layout")
    get.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="new or empty")
    get.add_argument("--platform", metavar="OS/ARCH[/VARIANT]", type=pull.platform, default=pull.here())
    get.add_argument("--explain", action="store_true", help="say why each hop got what it got")
    options.registry(get)
    options.sources(get)

    token = command("token", "print an Authorization header field for scripts")
    token.add_argument("--push", action="store_true", help="for a push")
    options.registry(token)
    options.sources(token)

    explain = command("explain", "which certificate and credentials each hop of an image gets, from which file, or why none")
    explain.add_argument("--token-host", metavar="ORIGIN", action="append", default=[], help="a token service to look at")
    options.sources(explain)

    lint = command("lint", "what is wrong with configuration files", image=False)
    options.sources(lint)

    mint = command("mint", "short-lived certificates for buildkitd and its clients", image=False)
    mint.add_argument("what", choices=["buildkitd"])
    mint.add_argument("--dns", "--ip", dest="names", metavar="NAME", action="append", help="what clients connect to")
    mint.add_argument("--uri", help="identity in the client's certificate, such as spiffe://example.org/builder/1")
    mint.add_argument("--ttl", type=options.life, default=4 * 3600, help="90s, 30m or 4h; 4h unless given, 24h at the most")
    mint.add_argument("--port", type=int, default=1234, help="what buildkitd listens on")
    mint.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="nothing in it is written over")

    given = parser.parse_args(arguments)
    runs = {
        "doctor": lambda: asyncio.run(doctor.run(given)),
        "pull": lambda: asyncio.run(pull.run(given)),
        "token": lambda: asyncio.run(print_token(given)),
        "explain": lambda: print_explained(given),
        "lint": lambda: print_lint(given),
        "mint": lambda: write_minted(given),
    }
    try:
        return int(runs[given.command]())
    except Failure as failure:
        return failed(given, failure)
    except RegauthError as error:
        return failed(given, Failure.of(error))
    except KeyboardInterrupt:
        return 130


def failed(given: argparse.Namespace, failure: Failure) -> int:
    if given.json:
        print(json.dumps({"failure": failure.json()}))
    else:
        print(f"regauth: {failure}", file=sys.stderr)
    return int(failure.exit)


async def print_token(given: argparse.Namespace) -> int:
    from ..aio import Session

    image = _core.Reference(given.image)
    agent, origin = options.agent(given, image)
    base = f"{origin}/v2/{image.repository}"
    scope = f"repository:{image.repository}:pull,push" if given.push else None
    method, url = ("POST", f"{base}/blobs/uploads/") if given.push else ("GET", f"{base}/manifests/{image.reference}")
    async with Session(agent, timeout=given.timeout) as session:
        response = await session.request("HEAD", f"{base}/manifests/{image.reference}", scope=scope)
        await response.read()
        value = agent.authorize(method, url)
        if value is None:
            what = f"no token was needed: the registry answered {response.status}"
            if any(sent.authorization == "Basic" for sent in response.sent):
                what = "the registry takes the password itself and no token"
            raise Failure(Exit.REFUSED, what, "Give your client what it needs: user and password, or nothing.")
    print(json.dumps({"Authorization": value}) if given.json else f"Authorization: {value}")
    return 0


def print_explained(given: argparse.Namespace) -> int:
    config = options.config_of_sources(given)
    print(config.explain(given.image, token_hosts=given.token_host, json=given.json), end="")
    return 0


def print_lint(given: argparse.Namespace) -> int:
    found = options.config_of_sources(given).diagnostics
    if given.json:
        keys = ["severity", "code", "file", "key", "line", "what", "remedy"]
        print(json.dumps([{key: getattr(one, key) for key in keys} for one in found]))
    else:
        for one in found:
            print(one)
        counts = [sum(one.severity == word for one in found) for word in ("error", "warning", "info")]
        print("{} errors, {} warnings, {} notes".format(*counts))
    return int(any(one.severity == "error" for one in found))


def write_minted(given: argparse.Namespace) -> int:
    names = given.names or ["localhost", "127.0.0.1"]
    directory = given.output
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    where = str(directory.resolve())
    files, until, commands = _core.mint_buildkitd(names, given.uri, given.ttl, os.urandom(32), where, given.port)
    for name, contents in files.items():
        try:
            # Not over another file: its mode might be another, and its owner.
            descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise Failure.unwritable(directory / name, error) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(contents)
    if given.json:
        print(json.dumps({"directory": where, "files": sorted(files), "until": until, "commands": dict(commands)}))
    else:
        print(f"# {where} holds until {until // 1000} (Unix seconds)")
        for what, line in commands:
            print(f"\n# {what}\n{line}")
    return 0


