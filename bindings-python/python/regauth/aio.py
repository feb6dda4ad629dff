"""HTTP over asyncio with the library's own TLS: every hop of a request, streamed, with connections pooled by profile.

>>> import asyncio, regauth, regauth.aio
>>> async def manifest(image: str) -> bytes:
...     agent = regauth.Agent(regauth.Config().system())
...     name = regauth.Reference(image)
...     url = f"{name.origin}/v2/{name.repository}/manifests/{name.reference}"
...     async with regauth.aio.Session(agent) as session:
...         return await (await session.get(url, headers={"Accept": "*/*"})).read()

An identity is shown where the configuration says so and nowhere else, keys that a :meth:`regauth.Identity.with_signer` holds
included: they are asked to sign, and never loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Self

from . import _core, _proxy
from ._drive import Alarm, LookUp, look_up
from ._pool import Lease, Pool
from .errors import ConfigError, PolicyDenied

__all__ = ["Content", "LookUp", "Response", "Session"]

Content = bytes | AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]
"""Of a request: bytes; a stream, which can be sent once; or what makes a new stream, which can be sent again."""

BUFFER = 256 * 1024
PIECE = 64 * 1024
FAIR = 32
"""Reads without waiting after which the other tasks have their turn."""


class Session:
    """Requests of one event loop, with the agent's identity and tokens. Close it, or use ``async with``.

    ``timeout``: seconds for each read and write, and for a connection to be made. ``limit``: connections to one origin with
    one identity, beyond which a request waits for one, for ``timeout`` at most. ``trust_env``: proxies are those of
    ``HTTPS_PROXY`` and ``NO_PROXY``. ``look_up``: see :data:`LookUp`; without it only the helpers that the configuration
    names are asked. ``observe`` is called with each response at its end, however it
    ended: :attr:`Response.sent`, :attr:`Response.addresses`, :meth:`Response.explain`.
    """

    def __init__(
        self,
        agent: _core.Agent,
        *,
        timeout: float = 30.0,
        limit: int = 16,
        trust_env: bool = True,
        look_up: LookUp | None = None,
        observe: Callable[[Response], object] | None = None,
    ) -> None:
        self.agent, self.timeout, self._own, self._observe = agent, timeout, look_up, observe
        self._trust_env = trust_env
        self._pool = Pool(limit, timeout)
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str | bytes] | None = None,
        content: Content | None = None,
        length: int | None = None,
        by: _core.Referrer | None = None,
        hop: str = "registry",
        scope: str | None = None,
    ) -> Response:
        """Sends a request through every hop; gives the application's answer once its head is there.

        ``length``: of ``content`` in bytes, where that is a stream; without it the body goes out in chunks. ``by``: the
        :attr:`Response.referrer` of the answer that named the URL, and as what ``hop``: an upload location, a layer.

        :raises RegauthError: with the hop, what happened and what to do.
        """
        if self._closed:
            raise ConfigError("the session is closed", "Use it inside of its `async with`.")
        agent = self.agent
        flow = agent.request(method, url) if by is None else agent.referred(by, hop, method, url)
        if scope is not None:
            flow.scope(scope)
        exchange = _core.Exchange(agent, flow)
        for name, value in (headers or {}).items():
            exchange.header(name, value)
        if content is not None:
            exchange.body_len(len(content) if isinstance(content, bytes) else length)
            if rewinds(content):
                exchange.body_rewinds()
        response = Response(self, exchange, content)
        try:
            await response._advance()
        except BaseException:
            response._leave()
            raise
        return response

    async def get(self, url: str, *, headers: Mapping[str, str | bytes] | None = None) -> Response:
        """``GET``."""
        return await self.request("GET", url, headers=headers)

    async def aclose(self) -> None:
        """Closes all idle connections."""
        self._closed = True
        self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Response:
    """The application's answer. Read it to its end, or close it: ``async with`` does."""

    head: _core.Head

    def __init__(self, session: Session, exchange: _core.Exchange, content: Content | None) -> None:
        self._session, self._exchange, self._content = session, exchange, content
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._lease: Lease | None = None
        self._alarm = Alarm()
        self._view = memoryview(bytearray(BUFFER))
        self._pieces: AsyncIterator[bytes] | None = None
        self._left = b""
        self._reads = 0
        self.addresses: dict[str, str] = {}
        """Where the connections went: an address for each origin."""
        self._done = self._left_it = False

    @property
    def status(self) -> int:
        """The status."""
        return self.head.status

    @property
    def sent(self) -> list[_core.Sent]:
        """Every request that went out for this answer, token requests and redirects included."""
        return self._exchange.sent

    @property
    def referrer(self) -> _core.Referrer:
        """What a URL in this answer is followed with."""
        return self._exchange.referrer()

    def explain(self) -> str:
        """The transcript: every decision, without any secret."""
        return self._exchange.explain()

    async def read(self) -> bytes:
        """All content."""
        return b"".join([chunk async for chunk in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The content, in pieces of up to about 256 KiB."""
        try:
            while not self._done:
                if data := self._exchange.content(BUFFER):
                    yield data
                else:
                    await self._advance()
        finally:
            self._leave()

    async def aclose(self) -> None:
        """Gives the connection back, or closes it where the content was not read to its end."""
        self._leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    # The loop: one value of the library at a time.

    async def _advance(self) -> None:
        """Does what the exchange wants, until there is a head, content, or the end."""
        exchange = self._exchange
        while True:
            match exchange.poll(self._alarm.ring):
                case _core.Read():
                    await self._read()
                case _core.Body():
                    return
                case _core.Write() as write:
                    await self._write(write.data)
                case _core.Connect() as target:
                    await self._connect(target)
                case _core.Head() as head:
                    self.head = head
                    length = head.get("content-length")
                    if self._lease:
                        known = int(length) if length and length.isdigit() else None
                        self._session._pool.answered(self._lease, known)
                    exchange.took_head()
                    return
                case _core.WantBody() as want:
                    await self._give(want.again)
                case _core.Credentials() as query:
                    await asyncio.to_thread(look_up, exchange, query, self._session._own)
                case _core.Wait() as wait:
                    await self._alarm.wait(wait.until)
                case _core.Close():
                    self._put(exchange.take_link())
                    exchange.closed()
                case _core.Done():
                    self._done = True
                    return self._put(exchange.take_link())

    async def _read(self) -> None:
        assert self._socket
        view = self._view[: self._exchange.space()]
        self._reads += 1
        if self._reads % FAIR == 0:
            await asyncio.sleep(0)
        try:
            try:
                count = self._socket.recv_into(view)  # Mostly there is something, and no timer is made.
            except BlockingIOError:
                async with asyncio.timeout(self._session.timeout):
                    count = await self._loop.sock_recv_into(self._socket, view)
        except OSError as error:
            return self._lost(error)
        self._exchange.filled(view[:count])

    async def _write(self, data: bytes) -> None:
        assert self._socket
        try:
            async with asyncio.timeout(self._session.timeout):
                await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            return self._lost(error)
        self._exchange.wrote(len(data))

    def _lost(self, error: OSError) -> None:
        self._exchange.failed("timeout" if isinstance(error, TimeoutError) else "reset")

    async def _connect(self, target: _core.Connect) -> None:
        proxy = _proxy.of(target.host, target.https) if self._session._trust_env else None
        key = target.key(proxy is not None)
        self._lease, link, self._socket = await self._session._pool.take(key, target.pooled)
        if self._socket is None:
            self._socket = await self._dial(target, proxy)
            if self._socket is None:
                return self._put(None)
        with contextlib.suppress(OSError):  # A connection that was idle may be gone, as is found out below.
            self.addresses[target.origin] = str(self._socket.getpeername()[0])
        self._exchange.connected(link)
        if link is not None:
            self._hear(self._socket)

    def _hear(self, sock: socket.socket) -> None:
        """What a server said to an idle connection, that it is closed for one, before anything is written to it."""
        try:
            while space := self._exchange.space():
                count = sock.recv_into(self._view[:space])
                self._exchange.filled(self._view[:count])
                if count == 0:
                    break
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(error)

    async def _dial(self, target: _core.Connect, proxy: _proxy.Proxy | None) -> socket.socket | None:
        """A socket to an address that the policy allows, or to a proxy, whose own addresses it has no say in. ``None``: the
        exchange knows why there is none."""
        host, port = (target.host, target.port) if proxy is None else (proxy.host, proxy.port)
        if proxy is not None:
            self._exchange.dial(None)
        failure, refused = "connect", None
        try:
            async with asyncio.timeout(self._session.timeout):
                found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            found = []
        for family, kind, protocol, _, address in found:
            try:
                if proxy is None:
                    self._exchange.dial(str(address[0]).partition("%")[0])
            except PolicyDenied as error:
                refused = error
                continue
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                async with asyncio.timeout(self._session.timeout):
                    await self._loop.sock_connect(sock, address)
                    if proxy is not None:
                        await proxy.tunnel(sock, target.host, target.port)
                return sock
            except OSError as error:
                sock.close()
                failure = "timeout" if isinstance(error, TimeoutError) else "connect"
            except BaseException:
                sock.close()
                raise
        if refused is not None:
            raise refused
        self._exchange.failed(failure)
        return None

    async def _give(self, again: bool) -> None:
        """The next bytes of the application's body."""
        if self._content is None or (again and not rewinds(self._content)):
            return self._exchange.body_gone()
        if again or self._pieces is None:
            self._pieces, self._left = pieces(self._content), b""
        self._left = self._left or await anext(self._pieces, b"")
        taken = self._exchange.body(self._left, not self._left)
        self._left = self._left[taken:]

    def _put(self, link: _core.Link | None) -> None:
        lease, sock, self._lease, self._socket = self._lease, self._socket, None, None
        if lease is not None:
            self._session._pool.leave(lease, None if self._session._closed else link, sock)

    def _leave(self) -> None:
        whole, self._done = self._done, True
        if not self._left_it:
            self._left_it = True
            if self._session._observe:
                self._session._observe(self)
            if not whole:
                self._exchange.close()
        self._put(None)


def rewinds(content: Content) -> bool:
    """Whether it can be sent once more."""
    return isinstance(content, bytes) or callable(content)


async def pieces(content: Content) -> AsyncIterator[bytes]:
    """The content in pieces of 1 byte to 64 KiB: each is cut as it is sent."""
    wholes = once(content) if isinstance(content, bytes) else content() if callable(content) else content
    async for whole in wholes:
        for start in range(0, len(whole), PIECE):
            yield whole[start : start + PIECE]


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content
