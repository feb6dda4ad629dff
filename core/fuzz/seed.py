#!/usr/bin/env python3
"""Makes inputs out of the test vectors: core/fuzz/corpus/TARGET/, one file a case.

Then `sh core/fuzz/pick.sh` keeps in core/fuzz/seeds/ those that reach something that no other reaches.
"""

import hashlib
import json
import pathlib

here = pathlib.Path(__file__).resolve().parent
RECORD, FIELD = b"\x1e", b"\x1f"
# As in src/setup.rs.
ORIGINS = [
    "https://reg.example", "https://reg.example:5000", "http://reg.example", "http://reg.example:5000",
    "https://auth.example", "https://blobs.example", "https://registry-1.docker.io", "https://auth.docker.io",
    "https://registry.gitlab.com", "https://gitlab.com", "https://10.0.0.5:5000", "http://127.0.0.1:5000",
    "http://auth.example", "https://169.254.169.254", "https://[::1]:5000", "https://auth.docker.io:444",
]
HOPS = ["registry", "token", "redirect", "upload", "layer", "token-redirect"]


def put(target, data):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def text(value):
    return value.encode("utf-8", "surrogatepass")


def place(origin):
    """The place of an origin; of those that are not there, of a like one."""
    if origin in ORIGINS:
        return ORIGINS.index(origin)
    return 5 if origin.startswith("https:") else 2


def setup(registry, config):
    hosts, pairs = [0] * 16, [[0, 0, 0] for _ in range(4)]
    for origin, entry in config.get("hosts", {}).items():
        names = ["identity", "headers", "local", "password_over_http", "skip_verify", "password_unverified"]
        hosts[place(origin)] = 1 | sum(2 << n for n, name in enumerate(names) if entry.get(name))
    for n, pair in enumerate(config.get("pairs", [])[:4]):
        other = pair.get("storage") or pair["token"]
        bits = 1 | (2 if "storage" in pair else 0) | (4 if pair.get("identity") else 0) | (8 if pair.get("local") else 0)
        pairs[n] = [place(pair["registry"]), place(other), bits]
    credentials = 0
    for entry in config.get("credentials", {}).values():
        credentials = 4 if entry == "ask" else 2 if "refresh" in entry else 3 if "bearer" in entry else 1
    names = {"any-https": config.get("mode") == "any-https", "post": config.get("password_post"),
             "offline": config.get("offline_token")}
    modes = sum(1 << n for n, on in enumerate(names.values()) if on)
    return bytes([place(registry), credentials, modes, 0] + hosts + sum(pairs, []))


def origin_of(url):
    return "/".join(url.split("/")[:3])


def address(value):
    import ipaddress
    if not value:
        return bytes([0]) + bytes(16)
    packed = ipaddress.ip_address(value).packed
    return bytes([1 if len(packed) == 4 else 2]) + packed.ljust(16, b"\0")


def decide(case):
    classes = {None: 0, "127.0.0.1": 3}
    anchor = case.get("anchor_address")
    chain = [place(origin) for origin in case.get("chain", [])[1:7]]
    redirects = max(0, len(case.get("chain", [])) - 1)
    target, base = case["target"], origin_of(case["target"])
    rest = text(target[len(base) + 1:] if base in ORIGINS else target)
    sends = case["config"].get("credentials") != {}
    data = setup(case["registry"], case["config"])
    data += bytes([HOPS.index(case["hop"]), place(base)] + chain + [0] * (6 - len(chain)))
    data += bytes([len(chain), redirects, 4 if sends else 0, classes.get(anchor, 2)])
    put("decide", data + address(case.get("address")) + rest)


def flow(case):
    starts = [step for step in case["steps"] if "start" in step]
    if not starts:
        return
    registry = starts[0].get("of") or origin_of(starts[0]["url"])
    names, records, now = [], [], 1795341600000
    slot = lambda step: b"%d" % (names.index(step.get("flow", "a")) % 3)
    for step in case["steps"]:
        if "at" in step:
            records.append(b"t0%d" % (step["at"] - now))
            now = step["at"]
        elif "start" in step:
            names.append(step["start"])
            how, url = b"0", step["url"][len(origin_of(step["url"])):]
            if "of" in step:
                how, url = {"upload": b"6", "layer": b"7"}.get(step["hop"], b"4"), step["url"]
            scopes = text(" ".join(step.get("scopes", [])))
            records.append(FIELD.join([b"s%d" % ((len(names) - 1) % 3) + how, text(step["method"]), text(url), scopes]))
        elif "answer" in step:
            answer = step["answer"]
            fields = [b"a" + slot(step) + b"%d" % answer["status"]]
            fields += [text(name) + b":" + text(value) for name, value in answer.get("headers", [])]
            if "url" in answer:
                fields.append(b"@url:" + text(answer["url"]))
            records.append(FIELD.join(fields + [text(answer.get("body", ""))]))
        elif "fail" in step:
            records.append(b"f" + slot(step) + b"7")
        elif "dial" in step:
            records.append(b"d" + slot(step) + text(step["dial"]))
        elif "drop" in step:
            records.append(b"x%d" % (names.index(step["drop"]) % 3))
    put("flow", setup(registry, case["config"]) + RECORD.join(records)[:6000])


def line(case):
    kind = case["kind"]
    if kind == "challenge":
        put("challenge", RECORD.join(map(text, case["headers"])))
    elif kind == "origin":
        put("origin", text(case["url"]) + FIELD + b"../x?y")
    elif kind == "reference":
        put("reference", text(case["name"]))
    elif kind == "scope":
        put("scope", FIELD.join([text(case["method"]), text(case["path"])]))
    elif kind == "merge":
        put("scope", FIELD.join([b"GET", b"/v2/"] + [text(" ".join(scopes)) for scopes in case["scopes"]]))
    elif kind == "cover":
        put("scope", FIELD.join([b"", b"", text(" ".join(case["granted"])), text(" ".join(case["needed"]))]))
    elif kind == "token-answer":
        post = 1 if case.get("method") == "POST" else 0
        body = text(case["body"])
        if len(body) < 4096:
            put("token", bytes([post]) + case["status"].to_bytes(2, "big") + body)
    elif kind == "decide":
        decide(case)
    elif kind == "flow":
        flow(case)


# References that no vector has.
for number, reference in enumerate(["//auth.example/x", "/x", "?n=1", "x:y", "HTTP://a.b./c#d", "\\\\a.b/x", "./.", "..//..", ""]):
    put("origin", FIELD.join([b"https://reg.example/v2/app/blobs/x?q=1", text(reference)]))

for path in sorted((here / "../../tests/vectors").glob("*.jsonl")):
    for row in path.read_text().splitlines():
        if row.strip():
            line(json.loads(row))

# The server half: what distribution was asked, and one good input of each other kind.
for number, row in enumerate((here / "../../tests/vectors/server/routes.jsonl").read_text().splitlines()):
    case = json.loads(row)
    for methods in case["said"]:
        put("server_request", FIELD.join([text(methods.split(" ")[0]), text(case["target"]), b"", b"", b""]))
form = b"application/x-www-form-urlencoded"
scope = b"service=reg.example&scope=repository:a/b:pull,push"
put("server_request", FIELD.join([b"GET", b"/token?account=u&" + scope, b"", b"Basic dTpw", b""]))
put("server_request", FIELD.join([b"POST", b"/token", form, b"", b"grant_type=password&username=u&password=p&" + scope]))
put("server_request", FIELD.join([b"POST", b"/token", form, b"", b"grant_type=refresh_token&refresh_token=r+repository:b:*"]))
claims = {"iss": "https://auth.example", "sub": "s", "aud": "reg.example", "exp": 1800000300, "iat": 1800000000, "nbf": 1,
          "jti": "j", "access": [{"type": "repository", "name": "a", "actions": ["pull"]}]}
for more in [{}, {"cnf": {"x5t#S256": "A" * 43}}, {"access": []}, {"AUD": "x"}]:
    put("server_token", RECORD.join([b"e30.e30.AA", json.dumps(claims | more).encode(), b""]))
policy = b"# x\nbuilder builds/{build} pull,push\n* library/* pull\nadmin registry:catalog *\nbuilder a/** none\n"
put("server_policy", RECORD.join([policy, b"spiffe://example.org/b/{build}", b"spiffe://example.org/b/x-1",
                                  b"repository:builds/x-1:pull repository:library/x:pull,push registry:catalog:*"]))

# Responses, whole ones and such that break a rule.
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\nContent-Length: 5, 5\nContent-Length: 05\n\nhello!",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\n a: b\r\n\r\n",
]
for number, response in enumerate(RESPONSES):
    for method in range(2):
        put("http", bytes([method, 17, 30]) + response)
for method, target, fields, framing in [
    ("GET", "/v2/app/manifests/1", ["Accept", "a/b", "X-Team", "7"], 2), ("PUT", "/v2/a/blobs/uploads/1?digest=x", [], 1),
    ("PATCH", "/x", ["Content-Type", "a"], 0), ("GET", "/x", ["Authorization", "x\r\nY: z"], 2), ("POST", "/x", ["Host", "a"], 2),
]:
    put("request", FIELD.join(map(text, [method, target, "reg.example:5000"] + fields)) + FIELD + bytes([framing]))

# Handshakes of each kind, with an exchange after it, spoilt and cut in places.
for kind in range(6):
    for identity in (0, 8):
        exchange = bytes([2, 0, 2, 0, 3, 9, 2, 0, 4, 3, 2, 0])
        for more in [b"", bytes([3, 255, 4, 255, 0, 100, 0, 7, 2, 0]), bytes([4, 2, 5, 128, 2, 0]), bytes([4, 2, 6, 9]),
                     bytes([8, 0]), bytes([8, 99]), bytes([9, 0]), bytes([7, 7, 21, 3, 3, 0, 2, 1, 0, 2, 0])]:
            put("tls", bytes([kind | identity]) + exchange + more)
        for cut in (1, 5, 100, 200):
            put("tls", bytes([kind | identity]) + bytes([0, cut]) * 12 + exchange)
            put("tls", bytes([kind | identity, 5, cut]) + exchange)
put("tls", bytes([0x85]) + bytes.fromhex("160303002a020000260303") + bytes(32) + bytes.fromhex("00130100"))
put("tls", bytes([0x85]) + bytes.fromhex("15030300020228"))

# Exchanges over plain http: the answers of a flow one after the other, each with a head and a length.
for path in sorted((here / "../../tests/vectors").glob("flows-*.jsonl")):
    for case in map(json.loads, filter(str.strip, path.read_text().splitlines())):
        starts = [step for step in case["steps"] if "start" in step]
        if len(starts) != 1 or "of" in starts[0]:
            continue
        # The same conversation with a registry of plain http.
        plain = lambda value: json.loads(json.dumps(value).replace("https://reg.example", "http://reg.example"))
        case, url = plain(case), plain(starts[0]["url"])
        if not url.startswith("http://reg.example/"):
            continue
        data = bytearray(setup("http://reg.example", case["config"]))
        data[0], data[6] = 0, data[6] | 0x11
        answers = []
        for answer in (step["answer"] for step in case["steps"] if "answer" in step):
            body = text(answer.get("body", ""))
            lines = [b"HTTP/1.1 %d X" % answer["status"], b"Content-Length: %d" % len(body)]
            lines += [text(name) + b": " + text(value) for name, value in answer.get("headers", [])]
            answers.append(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        first = FIELD.join([text(starts[0]["method"]), text(url[len("http://reg.example"):])])
        put("exchange", bytes(data) + bytes([0x31, 7]) + RECORD.join([first] + answers)[:6000])
