"""Reads the files that configurations are made of. The only module that opens configuration files."""

from __future__ import annotations

import os
from pathlib import Path

Entry = bytes | str | dict[str, "Entry"]
"""A file's bytes, a directory by its names, or in the words of the system why it cannot be read."""

MAX_FILE = 4 * 1024 * 1024 + 1
"""One byte over the importers' limit is enough to be refused."""
MAX_ENTRIES = 4096
MAX_DEPTH = 3
"""Levels of directories: a root, a registry, and what a registry's files may name."""

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
)
"""Where systems keep their certificate authorities as one file."""


def read(path: Path, depth: int = MAX_DEPTH) -> Entry | None:
    """What stands under a name; ``None`` where nothing does."""
    try:
        if path.is_dir():
            if depth == 0:
                return {}
            names = sorted(os.listdir(path))[:MAX_ENTRIES]
            inside = {name: read(path / name, depth - 1) for name in names}
            return {name: entry for name, entry in inside.items() if entry is not None}
        if not path.exists() and not path.is_symlink():
            return None
        if path.exists() and not path.is_file():
            return "it is no regular file"
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except OSError as error:
        return error.strerror or "it cannot be read"


def named(paths: list[Path], *, passed_over: bool = False) -> list[tuple[str, Entry]]:
    """Each of these under its name. What is not there is passed over, or said."""
    found = [(str(path), read(path)) for path in paths]
    if passed_over:
        return [(name, entry) for name, entry in found if entry is not None]
    return [(name, "it does not exist" if entry is None else entry) for name, entry in found]


def is_pem(text: bytes) -> bool:
    return b"-----BEGIN CERTIFICATE-----" in text


def system_roots() -> tuple[list[bytes], str | None]:
    """The system's certificate authorities and where they are from.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` stand in the place of the system's own bundle, as they do for OpenSSL and Go.
    """
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    paths = [Path(file)] if file else []
    for folder in (folders or "").split(os.pathsep):
        if folder and os.path.isdir(folder):
            paths += [Path(folder, name) for name in sorted(os.listdir(folder))[:MAX_ENTRIES]]
    if not file and not folders:
        paths = [Path(bundle) for bundle in BUNDLES if os.path.isfile(bundle)][:1]
    texts = [entry for entry in map(read, paths) if isinstance(entry, bytes) and is_pem(entry)]
    return texts, file or folders or next(iter(map(str, paths)), None)
