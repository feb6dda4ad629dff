"""The classes: what they are for, what they refuse, and what they never show."""

from __future__ import annotations

import copy
import gc
import inspect
import io
import logging
import pickle
import pydoc
import socket
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import World

import regauth
from regauth import _core

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="https://reg.example/token",service="reg"'}
URL = "https://reg.example/v2/team/app/manifests/1"
CANARY = "c4n4ry"


def agent() -> regauth.Agent:
    return regauth.Agent(regauth.Config().credentials("https://reg.example", user="robot", password=CANARY))


def warm() -> regauth.Agent:
    made = agent()
    flow = made.request("GET", URL)
    flow.poll()
    flow.answer(401, CHALLENGE)
    flow.poll()
    flow.answer(200, {}, b'{"token": "t-%s", "expires_in": 300}' % CANARY.encode())
    flow.poll()
    flow.answer(200, {})
    assert isinstance(flow.poll(), regauth.Done)
    return made


def test_everything_public_is_documented() -> None:
    for name in regauth.__all__:
        value = getattr(regauth, name)
        assert inspect.getdoc(value), name
        if inspect.isclass(value) and value.__module__.startswith("regauth"):
            for member in vars(value):
                # The documentation of a class says what its plain members are.
                if not member.startswith("_") and inspect.isroutine(getattr(value, member)):
                    assert inspect.getdoc(getattr(value, member)), f"{name}.{member}"
    text = pydoc.render_doc(regauth, renderer=pydoc.TextDoc())
    assert "one mTLS identity on every hop" in text


def test_errors_say_where_and_what_to_do() -> None:
    flow = agent().request("GET", URL)
    flow.poll()
    flow.answer(401, {"WWW-Authenticate": 'Bearer realm="https://auth.example/token",service="s"'})
    with pytest.raises(regauth.PolicyDenied) as caught:
        flow.poll()
    error = caught.value
    assert (error.hop, error.origin, error.fault) == ("token", "https://auth.example", "policy")
    assert error.line == '[[pair]] registry = "https://reg.example", token = "https://auth.example"'
    assert str(error) == f"{error.what}. {error.remedy}"
    with pytest.raises(regauth.PolicyDenied):
        flow.poll()
    for wrong in (lambda: agent().request("GET", "ftp://x"), lambda: agent().request("G T", URL), lambda: regauth.Reference("A")):
        with pytest.raises(regauth.ConfigError):
            wrong()


def test_a_token_service_that_is_busy_says_when() -> None:
    flow = agent().request("GET", URL)
    flow.poll(now=1_000_000)
    flow.answer(401, CHALLENGE, now=1_000_000)
    flow.poll(now=1_000_000)
    flow.answer(503, {"Retry-After": "3600"}, b"", now=1_000_000)
    with pytest.raises(regauth.TryLater) as caught:
        flow.poll(now=1_000_000)
    assert caught.value.retry_at == 1_000_000 + 3_600_000 and caught.value.status == 503


def test_misuse_is_an_exception_and_never_a_crash() -> None:
    def fails(what: Callable[[regauth.Flow], object]) -> None:
        flow = agent().request("GET", URL)
        flow.poll()
        with pytest.raises((regauth.RegauthError, TypeError, OverflowError, ValueError)):
            what(flow)
            flow.poll()

    fails(lambda flow: flow.credentials())
    fails(lambda flow: flow.answer(70000, {}))
    fails(lambda flow: flow.answer(200, 5))  # type: ignore[arg-type]
    fails(lambda flow: flow.answer(200, [("a",)]))  # type: ignore[list-item]
    fails(lambda flow: flow.failed("no such failure"))
    fails(lambda flow: flow.dial("not an address"))
    fails(lambda flow: flow.credentials(user="only"))
    fails(lambda flow: flow.credentials(valid_until=5))
    fails(lambda flow: flow.scope(""))
    fails(lambda flow: flow.close())
    with pytest.raises(regauth.MisuseError):
        flow = agent().request("GET", URL)
        flow.close()
        flow.poll()
    made = agent()
    flow = made.request("GET", URL)
    exchange = regauth.Exchange(made, flow)
    with pytest.raises(regauth.MisuseError):
        flow.poll()
    with pytest.raises(regauth.MisuseError):
        regauth.Exchange(made, flow)
    with pytest.raises(regauth.ConfigError):
        exchange.header("Authorization", "Bearer mine")
    with pytest.raises(regauth.MisuseError):
        exchange.filled(bytes(10))
    exchange.took(5)
    with pytest.raises(regauth.MisuseError):
        exchange.poll()
    exchange.close()
    with pytest.raises(regauth.MisuseError):
        exchange.sent
    with pytest.raises(regauth.ConfigError):
        regauth.Agent(regauth.Config().host("https://reg.example", headers={"Authorization": "x"}))
    with pytest.raises(TypeError):
        regauth.Config().host("https://reg.example", colour="red").build()  # type: ignore[call-arg]
    with pytest.raises(regauth.ConfigError):
        regauth.Config().pair("https://reg.example")
    with pytest.raises(AttributeError):
        flow.colour = "red"  # type: ignore[attr-defined]


def test_one_flow_in_two_threads_is_told_so() -> None:
    """The waker is called out of an answer, while the answering flow is in use."""
    made = agent()
    leader, follower = made.request("GET", URL), made.request("GET", URL)
    leader.poll()
    leader.answer(401, CHALLENGE)
    leader.poll()
    said: list[Exception] = []

    def wake() -> None:
        try:
            leader.poll()
        except regauth.MisuseError as error:
            said.append(error)

    assert isinstance(follower.poll(wake), regauth.Wait)
    leader.answer(200, {}, b'{"token": "T", "expires_in": 300}')
    assert len(said) == 1 and "in use" in str(said[0])
    step = follower.poll()
    assert isinstance(step, regauth.Send) and ("Authorization", "Bearer T") in step.headers


def test_an_exception_in_a_waker_is_said_and_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    made = agent()
    leader, follower = made.request("GET", URL), made.request("GET", URL)
    leader.poll()
    leader.answer(401, CHALLENGE)
    leader.poll()
    follower.poll(lambda: 1 / 0)
    leader.close()
    assert said and said[0].exc_type is ZeroDivisionError
    step = follower.poll()
    assert isinstance(step, regauth.Send) and step.hop == "token", "the duty is handed on"


def test_thirty_two_threads_share_one_agent() -> None:
    """All of them cold at once: one token request, by whoever comes first."""
    made, asked, lock, barrier = agent(), [], threading.Lock(), threading.Barrier(32)
    failures: list[BaseException] = []

    def one() -> None:
        try:
            barrier.wait()
            for _ in range(50):
                woken = threading.Event()
                with made.request("GET", URL) as flow:
                    while not isinstance(step := flow.poll(woken.set), regauth.Done):
                        if isinstance(step, regauth.Wait):
                            assert woken.wait(20)
                            woken.clear()
                        elif isinstance(step, regauth.Send) and step.hop == "token":
                            with lock:
                                asked.append(step)
                            flow.answer(200, {}, b'{"token": "T", "expires_in": 300}')
                        elif isinstance(step, regauth.Send):
                            sent = dict(step.headers)
                            flow.answer(200 if "Authorization" in sent else 401, CHALLENGE)
                assert made.authorize("GET", URL) == "Bearer T"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(asked) == 1


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="of a free-threaded Python")
def test_nothing_here_asks_for_the_gil() -> None:
    assert not getattr(sys, "_is_gil_enabled")()


SECRETS: list[Callable[[], Any]] = [
    agent,
    warm,
    lambda: regauth.Config().credentials("https://reg.example", user="robot", password=CANARY),
    lambda: regauth.Config().host("https://reg.example", headers={"X-Key": CANARY}).build(),
    lambda: warm().request("GET", URL),
    lambda: warm().request("GET", URL).poll(),
    lambda: regauth.Exchange(made := warm(), made.request("GET", URL)),
    lambda: warm().request("GET", URL).referrer(),
    lambda: regauth.parse_challenges([f"Negotiate {CANARY}=="])[0],
    lambda: regauth.TlsClient(regauth.Profile(), "https://reg.example"),
]


@pytest.mark.parametrize("make", SECRETS)
def test_secrets_are_not_shown_and_not_pickled(make: Callable[[], Any]) -> None:
    value = make()
    assert CANARY not in repr(value) and CANARY not in str(value) and CANARY not in f"{value}"
    for attempt in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match="cannot pickle|cannot be pickled"):
            attempt(value)


def test_secrets_are_in_no_log_and_no_traceback(world_b: World, caplog: pytest.LogCaptureFixture) -> None:
    import httpx
    import requests

    import regauth.httpx
    import regauth.requests

    caplog.set_level(logging.DEBUG)
    text = io.StringIO()
    made = regauth.Agent(world_b.config().pair(world_b.registry, storage="https://x.example"))
    tokens = []
    with httpx.Client(auth=regauth.httpx.RegistryAuth(made), transport=regauth.httpx.Transport(made), timeout=60) as client:
        assert client.get(world_b.url("manifests/one")).status_code in (200, 404)
        tokens.append((made.authorize("GET", world_b.url("manifests/one")) or "").removeprefix("Bearer "))
    with regauth.requests.use(requests.Session(), regauth.Agent(world_b.config())) as session:
        assert session.get(world_b.url("manifests/one")).status_code in (200, 404)
    denied = regauth.Agent(world_b.config(token_pair=False))
    with httpx.Client(auth=regauth.httpx.RegistryAuth(denied), transport=regauth.httpx.Transport(denied), timeout=60) as client:
        try:
            client.get(world_b.url("manifests/one"))
        except regauth.RegauthError:
            traceback.print_exc(file=text)
    shown = caplog.text + text.getvalue()
    assert "PolicyDenied" in shown and len(tokens[0]) > 100
    # urllib3 and httpx log URLs, and httpcore header fields of answers.
    for secret in (world_b.password, tokens[0], "cm9ib3Q6czNjcmV0"):
        assert secret not in shown


def test_a_key_is_in_a_file_for_a_moment_only(world_a: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl
    import tempfile

    from regauth import _route

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, path: str) -> None:
        seen.append(Path(path).stat().st_mode & 0o777)
        load(self, path)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    pair = world_a.pair()
    me = regauth.load_identity(pair.cert, pair.key)
    assert CANARY not in repr(me) and "PRIVATE" not in repr(me)
    _route.context(regauth.Profile(identities=[me]), 0)
    assert seen == [0o600] and not list(tmp_path.iterdir())
    key = pair.key.read_bytes()
    (tmp_path / "both.pem").write_bytes(pair.cert.read_bytes() + key)
    assert regauth.load_identity(tmp_path / "both.pem").fingerprint == me.fingerprint


def test_layer_b_alone(world_a: World) -> None:
    """TLS over a socket of the test's own, and what the connection showed."""
    pair = world_a.pair()
    me = regauth.load_identity(pair.cert, pair.key)
    profile = regauth.Profile(identities=[me], ca=[world_a.ca.read_bytes()], only_ca=True)
    host, port = world_a.about["registry"].split(":")
    with socket.create_connection((host, int(port))) as sock, regauth.TlsClient(profile, world_a.registry) as tls:
        received, asked = b"", False
        while b"\r\n\r\n" not in received:
            match tls.poll():
                case "write":
                    sock.sendall(tls.outgoing())
                case "plain":
                    received += tls.plain()
                case "closed":
                    break
                case "read" if tls.ready and not asked:
                    asked = tls.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") > 0
                case "read":
                    tls.filled(sock.recv(tls.space()))
        assert received.startswith(b"HTTP/1.1 401")
        evidence = tls.evidence
        assert evidence.version == "1.3" and evidence.accepted and evidence.label == str(pair.cert)
    stranger = regauth.Profile(ca=[Path(world_a.about["wrong_ca"]).read_bytes()], only_ca=True)
    with socket.create_connection((host, int(port))) as sock:
        tls = regauth.TlsClient(stranger, world_a.registry)
        with pytest.raises(regauth.NetworkError) as caught:
            while True:
                if tls.poll() == "write":
                    sock.sendall(tls.outgoing())
                else:
                    tls.filled(sock.recv(tls.space()))
        assert caught.value.failure == "server-certificate"


def rss() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_two_hundred_thousand_flows_leave_nothing_behind() -> None:
    made = warm()

    def some(count: int) -> None:
        for number in range(count):
            flow = made.request("GET", URL)
            step = flow.poll()
            assert isinstance(step, regauth.Send)
            if number % 4 == 0:
                flow.close()
                continue
            flow.answer(200, [("Content-Length", "5")])
            assert isinstance(flow.poll(), regauth.Done)

    some(20_000)
    gc.collect()
    objects, memory = len(gc.get_objects()), rss()
    some(200_000)
    gc.collect()
    more_objects, more_memory = len(gc.get_objects()) - objects, rss() - memory
    print(f"after 200,000 flows: {more_objects} objects, {more_memory} bytes of memory more")
    assert more_objects <= 0 + 5 and more_memory <= 1 << 20


def test_configuration_files_are_read(tmp_path: Path, world_a: World) -> None:
    name = world_a.about["registry"]
    certs = tmp_path / "certs.d" / name
    certs.mkdir(parents=True)
    (certs / "ca.crt").write_bytes(world_a.ca.read_bytes())
    (certs / "client.cert").write_bytes(world_a.pair().cert.read_bytes())
    (certs / "client.key").write_bytes(world_a.pair().key.read_bytes())
    hosts = tmp_path / "hosts"
    (hosts / name).mkdir(parents=True)
    client = f'[["{world_a.pair().cert}", "{world_a.pair().key}"]]'
    (hosts / name / "hosts.toml").write_text(
        f'server = "https://{name}"\n[host."https://{name}"]\nca = "{world_a.ca}"\nclient = {client}\n'
    )
    auths = tmp_path / "config.json"
    auths.write_text('{"auths": {"%s": {"auth": "cm9ib3Q6czNjcmV0"}}}' % name)
    for config in (regauth.Config().docker_certs(tmp_path / "certs.d"), regauth.Config().hosts(hosts)):
        config.docker_config(auths)
        assert [str(one) for one in config.diagnostics if one.severity == "error"] == []
        made = regauth.Agent(config)
        step = made.request("GET", f"{world_a.registry}/v2/").poll()
        assert isinstance(step, regauth.Send) and step.identity and step.identity.endswith((".cert", ".crt"))
    assert _core.is_helper_name("pass") and not _core.is_helper_name("../pass")
    broken = regauth.Config().docker_certs(tmp_path / "none")
    assert broken.diagnostics[0].severity == "error" and "does not exist" in str(broken.diagnostics[0])


def test_a_helper_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from regauth import _drive

    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\nread -r url\necho "{\\"Username\\":\\"robot\\",\\"Secret\\":\\"for $url\\"}"\n')
    helper.chmod(0o755)
    config = tmp_path / "config.json"
    config.write_text('{"credsStore": "test"}')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    made = regauth.Agent(regauth.Config().docker_config(config))
    flow = made.request("GET", URL)
    flow.poll()
    flow.answer(401, CHALLENGE)
    step = flow.poll()
    assert isinstance(step, regauth.Credentials) and step.helper == "test", step
    _drive.look_up(flow, step, None)
    sent = flow.poll()
    assert isinstance(sent, regauth.Send) and sent.hop == "token" and "Authorization" in dict(sent.headers)
    helper.unlink()
    other = regauth.Agent(regauth.Config().docker_config(config)).request("GET", URL)
    other.poll()
    other.answer(401, CHALLENGE)
    step = other.poll()
    assert isinstance(step, regauth.Credentials)
    _drive.look_up(other, step, None)
    with pytest.raises(regauth.ConfigError, match="docker-credential-test is not installed"):
        other.poll()
