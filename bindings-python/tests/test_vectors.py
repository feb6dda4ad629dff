"""The specification as data: ``tests/vectors``, as every language runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

import regauth
from regauth import _core

FOLDER = Path(__file__).resolve().parents[2] / "tests/vectors"
KEYS = "service scope account grant_type refresh_token username password access_type offline_token".split()
FAILURES = {"tls-certificate-required": "certificate-required", "tls-rejected": "certificate-rejected"}
Case = dict[str, Any]


def config(value: Case) -> regauth.Config:
    made = regauth.Config()
    for origin, entry in value.get("hosts", {}).items():
        identity = entry.get("identity")
        options: regauth.HostOptions = {
            "identities": [regauth.Identity.named(identity)] if identity else [],
            "headers": entry.get("headers", {}),
            "local": entry.get("local", False),
            "password_over_http": entry.get("password_over_http", False),
            "skip_verify": entry.get("skip_verify", False),
            "password_unverified": entry.get("password_unverified", False),
        }
        made.host(origin, **options)
    for origin, entry in value.get("credentials", {}).items():
        if isinstance(entry, dict):
            made.credentials(origin, **credentials(entry))
        else:
            made.ask(origin)
    for pair in value.get("pairs", []):
        made.pair(
            pair["registry"],
            token=pair.get("token"),
            storage=pair.get("storage"),
            identity=pair.get("identity", False),
            local=pair.get("local", False),
        )
    made.any_https(value.get("mode") == "any-https")
    made.password_post(value.get("password_post", False)).offline_token(value.get("offline_token", False))
    return made


def credentials(entry: Case) -> dict[str, Any]:
    if "user" in entry:
        return {"user": entry["user"], "password": entry.get("password", "")}
    return {"refresh_token": entry["refresh"]} if "refresh" in entry else {"bearer_token": entry["bearer"]}


def compare(case: Case, came: Case) -> None:
    for name, value in came.items():
        if name in case:
            assert case[name] == value, name
    if case.get("error") is True:
        assert came.get("error") is True, came
    if "error" not in case:
        assert "error" not in came, came


def challenge(case: Case) -> None:
    found = regauth.parse_challenges(case["headers"])
    came = []
    for one in found:
        known: Case = {"scheme": one.scheme, "params": one.params}
        came.append(known if one.token68 is None else known | {"token68": one.token68})
    compare(case, {"expect": came, "valid": not found.flaws})


def origin(case: Case) -> None:
    try:
        compare(case, {"origin": _core.origin(case["url"])})
    except regauth.ConfigError:
        compare(case, {"error": True})


def scope(case: Case) -> None:
    needed = regauth.needed_scopes(case["method"], case["path"])
    compare(case, {"scopes": needed if needed is None else [str(one) for one in needed]})


def reference(case: Case) -> None:
    try:
        image = regauth.Reference(case["name"])
    except regauth.ConfigError:
        return compare(case, {"error": True})
    names = ["origin", "domain", "repository", "tag", "digest"]
    return compare(case, {name: getattr(image, name) for name in names})


def merge(case: Case) -> None:
    flat = [regauth.Scope(one) for group in case["scopes"] for one in group if one]
    compare(case, {"merged": [str(one) for one in regauth.merge_scopes(flat)]})


def cover(case: Case) -> None:
    compare(case, {"covers": regauth.covers([o for o in case["granted"] if o], [o for o in case["needed"] if o])})


def token_answer(case: Case) -> None:
    why, token, life, refresh = _core.read_token_answer(case["method"], case["status"], case["body"])
    if why:
        return compare(case, {"error": why})
    text = refresh.decode() if refresh is not None else None
    assert token is not None
    return compare(case, {"token": token.decode(), "life": life, "refresh": text})


def decide(case: Case) -> None:
    value = case["config"]
    word, identity, credential, bearer, headers_of, _reason, _line = _core.decide(
        config(value),
        case["registry"],
        case["hop"],
        case["target"],
        chain=case.get("chain", []),
        credentials="credentials" not in value or bool(value["credentials"]),
        address=case.get("address"),
        registry_address=case.get("anchor_address"),
    )
    came: Case = {"decision": word}
    if word == "allow":
        label = value.get("hosts", {}).get(identity, {}).get("identity") if identity else None
        came |= {"identity": label, "credential": credential, "bearer": bearer, "headers_of": headers_of}
    compare(case, came)


class Running:
    """A flow of a case."""

    def __init__(self, flow: regauth.Flow) -> None:
        self.flow, self.woken = flow, False

    def wake(self) -> None:
        self.woken = True

    def poll(self, now: int) -> regauth.Step | regauth.RegauthError:
        try:
            return self.flow.poll(self.wake, now=now)
        except regauth.RegauthError as error:
            return error


def flow(case: Case) -> None:
    agent = regauth.Agent(config(case.get("config", {})))
    flows: dict[str, Running] = {}
    now = 1_000_000_000_000
    for number, step in enumerate(case["steps"]):
        if "at" in step:
            now = step["at"]
        elif "start" in step:
            if "of" in step:
                by = regauth.Referrer.registry(step["of"])
                made = agent.referred(by, step["hop"], step["method"], step["url"])
            else:
                made = agent.request(step["method"], step["url"])
            for one in step.get("scopes", []):
                made.scope(one)
            flows[step["start"]] = Running(made)
        elif "drop" in step:
            flows.pop(step["drop"]).flow.close()
        elif "woken" in step:
            assert flows[step["woken"]].woken, f"step {number}"
        else:
            one_step(flows[step.get("flow", "a")], now, step)


def one_step(running: Running, now: int, step: Case) -> None:
    if not step.get("wait"):
        running.poll(now)
    if "send" in step:
        came = running.poll(now)
        assert isinstance(came, regauth.Send), f"{step}: {came}"
        sent(step["send"], came)
    elif "answer" in step:
        answer = step["answer"]
        body = answer.get("body", "").encode()
        headers = [(name, value.encode()) for name, value in answer.get("headers", [])]
        running.flow.answer(answer["status"], headers, body, url=answer.get("url"), now=now)
        running.poll(now)
    elif "fail" in step:
        why: str = step["fail"]
        running.flow.failed(FAILURES.get(why, why), now=now)
        running.poll(now)
    elif "credentials" in step:
        came = running.poll(now)
        assert isinstance(came, regauth.Credentials) and came.registry == step["credentials"], f"{step}: {came}"
    elif "found" in step:
        found = step["found"]
        running.flow.credentials(**(credentials(found) if isinstance(found, dict) else {}), now=now)
        running.poll(now)
    elif step.get("wait"):
        running.woken = False
        assert isinstance(running.poll(now), regauth.Wait), step
    elif "dial" in step:
        literal = step["dial"] if step["dial"][0].isdigit() or ":" in step["dial"] else None
        try:
            running.flow.dial(literal)
            refused = False
        except regauth.PolicyDenied:
            refused = True
        assert refused == step.get("refused", False), step
    elif "done" in step:
        came = running.poll(now)
        assert isinstance(came, regauth.Done) and came.status == step["done"], f"{step}: {came}"
    elif "failed" in step:
        came = running.poll(now)
        assert isinstance(came, regauth.RegauthError), f"{step}: {came}"
        assert came.fault == step["failed"]["fault"], f"{step}: {came}"
        assert came.hop == step["failed"].get("hop", came.hop), f"{step}: {came}"
    elif "explain" in step:
        text = running.flow.explain()
        assert all(part in text for part in step["explain"]), text
        assert not any(part in text for part in step.get("hides", [])), text
    else:
        raise AssertionError(f"unknown step {step}")


def sent(expected: Case, out: regauth.Send) -> None:
    fields = {name.lower(): value for name, value in out.headers}
    base, _, query = out.url.partition("?")
    came = {
        "hop": out.hop,
        "method": out.method,
        "url": base if out.hop in ("token", "token-redirect") else out.url,
        "identity": out.identity,
        "authorization": fields.get("authorization"),
    }
    for name, value in came.items():
        assert expected.get(name, value) == value, f"{name}: {out}"
    if "query" in expected:
        pairs(expected["query"], query)
    if "form" in expected:
        assert out.form is not None
        pairs(expected["form"], out.form.decode())
    for name, value in expected.get("headers", {}).items():
        assert fields.get(name.lower()) == value, name
    for name in expected.get("absent", []):
        assert name.lower() not in fields, name


def pairs(expected: dict[str, list[str]], encoded: str) -> None:
    came = parse_qs(encoded, keep_blank_values=True)
    for key in {*KEYS, *expected}:
        assert came.get(key) == expected.get(key), key


KINDS: dict[str, Callable[[Case], None]] = {
    "challenge": challenge,
    "origin": origin,
    "scope": scope,
    "reference": reference,
    "merge": merge,
    "cover": cover,
    "token-answer": token_answer,
    "decide": decide,
    "flow": flow,
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: str(path.stem))
def test_every_line(path: Path) -> None:
    cases = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    wrong = []
    for case in cases:
        try:
            KINDS[case["kind"]](case)
        except (AssertionError, regauth.RegauthError, KeyError) as error:
            wrong.append(f"{case['id']}: {type(error).__name__} {error}")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
    print(f"{path.name}: {len(cases)} passed")
