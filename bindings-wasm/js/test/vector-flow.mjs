// A scripted conversation with one agent: kind `flow` of the vectors.
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";

const KEYS = [
  "service", "scope", "account", "grant_type", "refresh_token", "username", "password", "access_type", "offline_token",
];
const encoder = new TextEncoder();

function credentials(value) {
  if (value?.user !== undefined) return { username: value.user, password: value.password ?? "" };
  if (value?.refresh !== undefined) return { refreshToken: value.refresh };
  if (value?.bearer !== undefined) return { bearerToken: value.bearer };
  return undefined;
}

/** The configuration of a case, as the package takes it. */
function config(value = {}) {
  const hosts = Object.entries(value.hosts ?? {}).map(([origin, host]) => [
    origin,
    {
      identities: host.identity === undefined ? [] : [{ label: host.identity }],
      headers: host.headers ?? {},
      local: host.local === true,
      passwordOverHttp: host.password_over_http === true,
      skipVerify: host.skip_verify === true,
      passwordUnverified: host.password_unverified === true,
    },
  ]);
  const found = Object.entries(value.credentials ?? {}).map(([origin, one]) => [origin, credentials(one) ?? "ask"]);
  return {
    hosts: Object.fromEntries(hosts),
    credentials: Object.fromEntries(found),
    pairs: (value.pairs ?? []).map(({ registry, token, storage, identity, local }) => ({
      registry,
      ...(storage === undefined ? { token } : { storage }),
      identity: identity === true,
      local: local === true,
    })),
    mode: value.mode ?? "strict",
    passwordPost: value.password_post === true,
    offlineToken: value.offline_token === true,
  };
}

/** Runs the steps of a case. */
export async function runFlow(api, line) {
  let now = 1_000_000_000_000;
  const agent = new api.Agent(config(line.config), { now: () => now });
  const flows = new Map();
  try {
    for (const [number, step] of line.steps.entries()) {
      try {
        if (step.at !== undefined) now = step.at;
        else if (step.start !== undefined) flows.set(step.start, start(api, agent, step));
        else if (step.drop !== undefined) {
          flows.get(step.drop)?.flow.close();
          flows.delete(step.drop);
        } else if (step.woken !== undefined) {
          // It is told in a microtask.
          await setImmediate();
          assert.ok(flows.get(step.woken).woken, `flow ${step.woken} was not woken`);
        } else one(flows.get(step.flow ?? "a"), step);
      } catch (error) {
        throw new Error(`step ${number} ${JSON.stringify(step)}: ${error.message}`, { cause: error });
      }
    }
  } finally {
    for (const { flow } of flows.values()) flow.close();
    agent.close();
  }
}

function start(api, agent, step) {
  const options = { scopes: step.scopes ?? [] };
  if (step.of === undefined) return { flow: agent.request(step.method, step.url, options) };
  const referrer = api.Referrer.registry(step.of);
  try {
    return { flow: agent.referred(referrer, step.hop, step.method, step.url, options) };
  } finally {
    referrer.close();
  }
}

const FAILURES = { "tls-certificate-required": "certificate-required", "tls-rejected": "certificate-rejected" };

function one(running, step) {
  const { flow } = running;
  if (step.send !== undefined) {
    flow.poll();
    // Twice: poll is idempotent.
    const out = flow.poll();
    assert.equal(out.kind, "send", out.error?.message);
    return sent(step.send, out);
  }
  if (step.answer !== undefined) {
    const { status, headers = [], body = "", url } = step.answer;
    flow.poll();
    const bytes = headers.map(([name, value]) => [name, Buffer.from(value, "utf8").toString("latin1")]);
    flow.answer({ status, headers: bytes, body: encoder.encode(body), ...(url !== undefined && { url }) });
    return flow.poll();
  }
  if (step.fail !== undefined) {
    flow.failed(FAILURES[step.fail] ?? step.fail);
    return flow.poll();
  }
  if (typeof step.credentials === "string") {
    const query = flow.poll();
    return assert.deepEqual([query.kind, query.registry], ["credentials", step.credentials]);
  }
  if (step.found !== undefined) {
    flow.credentials(credentials(step.found) ?? null);
    return flow.poll();
  }
  if (step.wait === true) {
    const wait = flow.poll();
    assert.equal(wait.kind, "wait");
    running.woken = false;
    flow.wait(wait.until).then(() => (running.woken = true));
    return undefined;
  }
  if (step.dial !== undefined) {
    flow.poll();
    let refused = false;
    try {
      flow.dial(step.dial);
    } catch (error) {
      assert.equal(error.name, "RegauthError", error.stack);
      refused = true;
    }
    return assert.equal(refused, step.refused === true);
  }
  if (step.done !== undefined) {
    const done = flow.poll();
    return assert.deepEqual([done.kind, done.status], ["done", step.done], done.error?.message);
  }
  if (step.failed !== undefined) {
    const { kind, error } = flow.poll();
    assert.equal(kind, "failed");
    assert.equal(error.fault, step.failed.fault, error.message);
    if ("hop" in step.failed) assert.equal(error.hop ?? null, step.failed.hop);
    return undefined;
  }
  if (step.explain !== undefined) {
    const transcript = flow.explain();
    for (const text of step.explain) assert.ok(transcript.includes(text), `missing ${text} in:\n${transcript}`);
    for (const text of step.hides ?? []) assert.ok(!transcript.includes(text), `shown ${text} in:\n${transcript}`);
    return undefined;
  }
  throw new Error("unknown step");
}

function sent(expected, out) {
  const header = (name) => out.headers.find(([known]) => known.toLowerCase() === name.toLowerCase())?.[1] ?? null;
  const [base, query = ""] = out.url.split(/\?(.*)/s);
  const came = {
    hop: out.hop,
    method: out.method,
    url: out.hop.startsWith("token") ? base : out.url,
    identity: out.identity ?? null,
    authorization: header("authorization"),
  };
  for (const [name, value] of Object.entries(came)) if (name in expected) assert.equal(value, expected[name], name);
  if (expected.query !== undefined) pairs(expected.query, query);
  if (expected.form !== undefined) pairs(expected.form, out.body.form);
  for (const [name, value] of Object.entries(expected.headers ?? {})) assert.equal(header(name), value, name);
  for (const name of expected.absent ?? []) assert.equal(header(name), null, name);
}

function pairs(expected, encoded) {
  const came = new URLSearchParams(encoded);
  for (const key of new Set([...KEYS, ...Object.keys(expected)])) {
    assert.deepEqual(came.has(key) ? came.getAll(key) : undefined, expected[key], key);
  }
}
