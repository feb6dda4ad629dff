"""What an agent is told once: hosts, pairs, credentials, and the files that people already have."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from . import _core, _files
from .errors import ConfigError

__all__ = ["Config", "HostOptions"]

StrPath = str | os.PathLike[str]
Secret = str | bytes


class HostOptions(TypedDict, total=False):
    """The settings of one origin."""

    identities: Iterable[_core.Identity]
    """Client identities in the order in which they are tried."""
    ca: list[Secret]
    """PEM texts of certificate authorities, added to those of the configuration."""
    only_ca: bool
    """``ca`` stands in their place."""
    headers: Mapping[str, Secret]
    """Header fields for every request to this origin; never ``Authorization``."""
    alpn: list[str]
    """ALPN protocol names."""
    force: bool
    """Show the first identity whatever issuers the server names."""
    try_pairs: bool
    """After TLS refused one identity try the next."""
    try_pairs_on_status: bool
    """The same after 403, 404 and 5xx."""
    skip_verify: bool
    """Do not check the server's certificate. No password leaves with it."""
    password_over_http: bool
    """Leave for a password over plain http; loopback needs none."""
    password_unverified: bool
    """Leave for a password to a server whose certificate is not checked."""
    local: bool
    """Leave to be at an address that is more local than the registry's."""
    wildcard_identity: bool
    """Of the default host only: leave for its identity to be shown to every registry."""


class Config:
    """A configuration: what is said here by name holds before what imported files say.

    Every method gives the configuration itself, so that calls can be strung together. Importers read their files at
    once; an earlier one holds before a later one. What is wrong in the files is in :attr:`diagnostics`: where an identity
    or credentials cannot be used, requests to that host fail, and never go out without.

    >>> config = (
    ...     Config()
    ...     .pair("https://reg.example", token="https://auth.example", identity=True)
    ...     .credentials("https://reg.example", user="robot", password="s3cret")
    ... )
    >>> config
    Config(1 pair, 1 credential, 0 hosts, 0 files)
    """

    def __init__(self) -> None:
        self._sources: list[tuple[str, list[tuple[str, _files.Entry]]]] = []
        self._roots: list[bytes] = []
        self._only_ca = False
        self._edits: list[tuple[str, Callable[[_core.Settings], None]]] = []
        self._system: str | None = None
        self._imported: _core.Imported | None = None
        self._root: Path | None = None

    # What is said by name.

    def host(self, origin: str, **options: Unpack[HostOptions]) -> Self:
        """Sets the entry of an origin such as ``https://reg.example:5000``, in the place of an earlier one."""
        return self._edit("host", lambda settings: settings.host(origin, list(self._roots), dict(options)))

    def default_host(self, **options: Unpack[HostOptions]) -> Self:
        """Sets the entry for registries without one of their own; an identity only with ``wildcard_identity``."""
        return self._edit("host", lambda settings: settings.host(None, list(self._roots), dict(options)))

    def identity(self, origin: str, certificate: StrPath, key: StrPath | None = None) -> Self:
        """The entry of an origin with one identity out of two files, or one that holds both."""
        return self.host(origin, identities=[load_identity(certificate, key)])

    def ca(self, *files: StrPath) -> Self:
        """Adds certificate authorities (PEM files) to the roots."""
        for file in files:
            text = _read_file(file)
            if not _files.is_pem(text):
                raise ConfigError(f"{os.fspath(file)} holds no PEM certificate", "Give the certificate authority as PEM.")
            self._roots.append(text)
        self._imported = None
        return self

    def only_ca(self, only: bool = True) -> Self:
        """The authorities that are given stand in the place of the compiled-in ones."""
        self._only_ca, self._imported = only, None
        return self

    def pair(
        self,
        registry: str,
        *,
        token: str | None = None,
        storage: str | None = None,
        identity: bool = False,
        local: bool = False,
    ) -> Self:
        """Pairs a registry with its token endpoint or its storage on another host.

        ``identity`` lends it the registry's certificate; ``local`` is leave to be at a more local address.
        """
        kind, other = ("token", token) if token else ("storage", storage)
        if other is None or (token and storage):
            raise ConfigError("a pair is a registry and one other origin", "Give token, or storage.")
        _core.origin(registry), _core.origin(other)
        return self._edit("pair", lambda settings: settings.pair(registry, kind, other, identity, local))

    def credentials(
        self,
        registry: str,
        *,
        user: str | None = None,
        password: Secret | None = None,
        refresh_token: Secret | None = None,
        bearer_token: Secret | None = None,
    ) -> Self:
        """Sets the credentials of a registry: user and password, a refresh token (Docker's ``identitytoken``), or a
        bearer token that is sent as it is."""
        _core.origin(registry)
        return self._edit(
            "credential",
            lambda settings: settings.credentials(registry, user, password, refresh_token, bearer_token),
        )

    def ask(self, registry: str | None = None) -> Self:
        """The program looks up the credentials of this registry, or of every one without any, when they are needed."""
        return self._edit("credential", lambda settings: settings.ask(registry))

    def any_https(self, on: bool = True) -> Self:
        """Sends credentials to any https token endpoint, never an identity, and says so each time."""
        return self._edit("option", lambda settings: settings.option("any_https", on))

    def password_post(self, on: bool = True) -> Self:
        """Sends passwords to token endpoints by POST first."""
        return self._edit("option", lambda settings: settings.option("password_post", on))

    def offline_token(self, on: bool = True) -> Self:
        """Asks token endpoints for a refresh token, which is then used in the place of the password."""
        return self._edit("option", lambda settings: settings.option("offline_token", on))

    # What files say.

    def docker_certs(self, path: StrPath = "/etc/docker/certs.d") -> Self:
        """Docker's ``certs.d``."""
        return self._import("docker_certs", [path])

    def containers_certs(self, *paths: StrPath) -> Self:
        """The ``certs.d`` of podman, buildah, skopeo and CRI-O, in their search order."""
        return self._import("containers_certs", paths)

    def hosts(self, *paths: StrPath) -> Self:
        """containerd's host directories (``hosts.toml``), in the order of its ``config_path``."""
        return self._import("hosts", paths)

    def buildkitd(self, path: StrPath = "/etc/buildkit/buildkitd.toml") -> Self:
        """BuildKit's ``buildkitd.toml``."""
        return self._import("buildkitd", [path])

    def registries(self, path: StrPath = "/etc/rancher/k3s/registries.yaml") -> Self:
        """The ``registries.yaml`` of k3s and RKE2."""
        return self._import("registries", [path])

    def regauth(self, path: StrPath) -> Self:
        """``regauth.toml``: pairs, and everything that the other formats cannot say."""
        return self._import("regauth", [path])

    def docker_config(self, path: StrPath) -> Self:
        """Docker's ``config.json``."""
        return self._import("docker_config", [path])

    def docker_auth_config(self, text: Secret) -> Self:
        """The value of ``DOCKER_AUTH_CONFIG``."""
        value = text.encode() if isinstance(text, str) else text
        self._sources.append(("docker_auth_config", [("DOCKER_AUTH_CONFIG", value)]))
        self._imported = None
        return self

    def auth_json(self, *paths: StrPath) -> Self:
        """podman's ``auth.json``, in its order."""
        return self._import("auth_json", paths)

    def kubernetes(self, *paths: StrPath) -> Self:
        """Kubernetes' image pull secrets."""
        return self._import("kubernetes", paths)

    def system(self) -> Self:
        """This machine's own: its certificate authorities (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` stand in their place),
        and those of the usual files that are there: ``certs.d`` of Docker and of podman, containerd's host directory,
        ``DOCKER_AUTH_CONFIG``, Docker's ``config.json``, ``auth.json``, and ``regauth.toml`` in ``REGAUTH_CONFIG`` or
        ``~/.config/regauth``."""
        self.system_roots()
        env, home = os.environ, Path.home()
        own = env.get("REGAUTH_CONFIG") or str(home / ".config/regauth/regauth.toml")
        docker = Path(env.get("DOCKER_CONFIG") or home / ".docker")
        auth = [
            env.get("REGISTRY_AUTH_FILE"),
            f"{env['XDG_RUNTIME_DIR']}/containers/auth.json" if env.get("XDG_RUNTIME_DIR") else None,
            str(home / ".config/containers/auth.json"),
        ]
        containers: list[StrPath] = [home / ".config/containers/certs.d", "/etc/containers/certs.d"]
        self._import("regauth", [own], passed_over=True)
        self._import("hosts", ["/etc/containerd/certs.d"], passed_over=True)
        self._import("docker_certs", ["/etc/docker/certs.d"], passed_over=True)
        self._import("containers_certs", containers, passed_over=True)
        if env.get("DOCKER_AUTH_CONFIG"):
            self.docker_auth_config(env["DOCKER_AUTH_CONFIG"])
        self._import("docker_config", [docker / "config.json"], passed_over=True)
        return self._import("auth_json", [path for path in auth if path], passed_over=True)

    def system_roots(self) -> Self:
        """Adds the system's certificate authorities alone."""
        texts, self._system = _files.system_roots()
        self._roots += texts
        self._imported = None
        return self

    def root(self, directory: StrPath) -> Self:
        """Absolute names in imported files are looked for in here: another machine's files."""
        self._root, self._imported = Path(directory), None
        return self

    # What comes of it.

    @property
    def diagnostics(self) -> list[_core.Diagnostic]:
        """What is wrong with the imported files, or would surprise; the worst first."""
        rank = {"error": 0, "warning": 1}
        return sorted(self._model().diagnostics, key=lambda one: (rank.get(one.severity, 2), one.file, one.line or 0))

    def explain(
        self, image: str | _core.Reference, *, token_hosts: Iterable[str] = (), json: bool = False
    ) -> str:
        """For an image: which certificate each host gets and from which file, or why none. Of imported files only."""
        image = image if isinstance(image, _core.Reference) else _core.Reference(image)
        return self._model().explain(image, list(token_hosts), self._system)[int(json)]

    def build(self) -> _core.Settings:
        """What an agent takes. An agent calls this by itself."""
        settings = self._model().settings()
        if not self._sources:
            settings.roots(list(self._roots), self._only_ca)
        for _, edit in self._edits:
            edit(settings)
        return settings

    def _edit(self, kind: str, edit: Callable[[_core.Settings], None]) -> Self:
        edit(_core.Settings())  # What cannot be is said here, and not when the agent is made.
        self._edits.append((kind, edit))
        return self

    def _import(self, kind: str, paths: Iterable[StrPath], *, passed_over: bool = False) -> Self:
        all_paths = [Path(path) for path in paths]
        if kind in ("hosts", "containers_certs") and len(all_paths) > 1:
            passed_over = True
        found = _files.named(all_paths, passed_over=passed_over)
        if found:
            self._sources.append((kind, found))
            self._imported = None
        return self

    def _model(self) -> _core.Imported:
        """Imports everything, with the files that the files name: what the first run wants, the next one is given."""
        if self._imported is None:
            files: dict[str, _files.Entry] = {}
            tried: set[str] = set()
            while True:
                now = time.time_ns() // 1_000_000
                imported = _core.import_files(self._sources, files, list(self._roots), self._only_ca, now)
                more = [name for name in imported.wanted if name not in tried]
                if not more:
                    break
                tried.update(more)
                found = ((name, _files.read(self._real(name))) for name in more)
                files |= {name: entry for name, entry in found if entry is not None}
            self._imported = imported
        return self._imported

    def _real(self, name: str) -> Path:
        if self._root is None or not name.startswith("/") or Path(name).is_relative_to(self._root):
            return Path(name)
        beside = [Path(given).parent for _, source in self._sources for given, _ in source]
        if any(folder != folder.parent and Path(name).is_relative_to(folder) for folder in beside):
            return Path(name)
        return self._root / name.lstrip("/")

    def __repr__(self) -> str:
        def count(kind: str) -> str:
            number = sum(1 for known, _ in self._edits if known == kind)
            return f"{number} {kind}{'' if number == 1 else 's'}"

        return f"Config({count('pair')}, {count('credential')}, {count('host')}, {len(self._sources)} files)"

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle 'Config' object: it holds secrets")


def load_identity(certificate: StrPath, key: StrPath | None = None) -> _core.Identity:
    """An identity out of two PEM files, or one that holds both; its label is the certificate's path."""
    chain = _read_file(certificate)
    secret = chain if key is None else _read_file(key)
    return _core.Identity.from_pem(chain, secret, label=os.fspath(certificate))


def _read_file(path: StrPath) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        what = f"{os.fspath(path)} cannot be read: {(error.strerror or 'unknown').lower()}"
        raise ConfigError(what, "Check the path and its permissions.") from None
