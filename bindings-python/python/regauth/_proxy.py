"""Proxies out of the environment (HTTPS_PROXY, NO_PROXY): tunnels by CONNECT (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from .errors import ConfigError, NetworkError

MAX_HEAD = 16 * 1024
"""Bytes of a proxy's answer."""


@dataclass
class Proxy:
    host: str
    port: int
    authorization: str | None

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"

    async def tunnel(self, sock: socket.socket, host: str, port: int) -> None:
        """Asks for a tunnel to the host on a connected socket."""
        loop = asyncio.get_running_loop()
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
        if self.authorization:
            head += f"Proxy-Authorization: {self.authorization}\r\n"
        await loop.sock_sendall(sock, f"{head}\r\n".encode("latin-1"))
        answer = b""
        # A byte at a time, as what comes behind the head is the server's.
        while not answer.endswith(b"\r\n\r\n"):
            byte = await loop.sock_recv(sock, 1)
            answer += byte
            if not byte or len(answer) > MAX_HEAD:
                raise self._failed("gave no whole answer")
        status = answer.split(b" ", 2)[1:2]
        if not status or not status[0].startswith(b"2"):
            word = (status or [b"something that is no HTTP"])[0].decode("latin-1")
            raise self._failed(f"answered {word}")

    def _failed(self, what: str) -> NetworkError:
        remedy = "Check HTTPS_PROXY, its user and password, and whether NO_PROXY should name this host."
        return NetworkError(f"the proxy {self} {what}", remedy, fault="network", failure="connect")


def of(host: str, https: bool) -> Proxy | None:
    """The proxy for a host; none for what is on this machine."""
    if is_loopback(host) or proxy_bypass(host):
        return None
    named = getproxies()
    url = named.get("https" if https else "http")
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError("the proxy in the environment is no http proxy", "Give HTTPS_PROXY such as http://proxy:3128.")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Proxy(parts.hostname, parts.port or 80, authorization)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
