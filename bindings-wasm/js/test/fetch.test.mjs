// authFetch: the host's own HTTP client and TLS, the agent's decisions. Against nginx and distribution v3, with undici.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as undici from "undici";
import { Agent, CapabilityError, authFetch } from "../dist/index.mjs";
import { missing, start } from "./world.mjs";

const skip = missing();

/** What a browser's fetch gives for a redirect that is not followed. */
const opaque = async () => {
  const response = new Response(null);
  return Object.defineProperty(response, "type", { value: "opaqueredirect" });
};

test("a redirect that the host does not show is a capability error", async () => {
  const agent = new Agent();
  const fetch = authFetch(agent, { fetch: opaque, resolve: async () => ["192.0.2.1"] });
  await assert.rejects(fetch("https://reg.example/v2/"), (error) => {
    assert.ok(error instanceof CapabilityError);
    assert.equal(error.capability, "redirect");
    return true;
  });
  agent.close();
});

test("a certificate that nobody presents is a capability error, and nothing is sent", async () => {
  const agent = new Agent({ hosts: { "https://reg.example": { identities: [{ label: "builder" }] } } });
  let sent = 0;
  const fetch = authFetch(agent, { fetch: async () => sent++, resolve: async () => ["192.0.2.1"] });
  await assert.rejects(fetch("https://reg.example/v2/"), { name: "RegauthCapabilityError", capability: "client-certificate" });
  assert.equal(sent, 0);
  assert.throws(() => new Agent({ hosts: { "https://a.example": { identities: [{ certificate: "x", key: "y" }] } } }), {
    name: "RegauthCapabilityError",
  });
  agent.close();
});

test("a private address is refused for a host that another one named", async () => {
  const agent = new Agent();
  const seen = [];
  const fetch = authFetch(agent, {
    resolve: async (host) => [host === "reg.example" ? "192.0.2.1" : "10.0.0.1"],
    async fetch(url) {
      seen.push(url);
      return new Response(null, { status: 307, headers: { location: "https://inside.example/secret" } });
    },
  });
  await assert.rejects(fetch("https://reg.example/v2/a/blobs/x"), { name: "RegauthError", fault: "policy", kind: "address" });
  assert.deepEqual(seen, ["https://reg.example/v2/a/blobs/x"]);
  agent.close();
});

test("the application sets no credentials of its own", async () => {
  const agent = new Agent();
  await assert.rejects(authFetch(agent)("https://reg.example/v2/", { headers: { authorization: "x" } }), { kind: "input" });
  agent.close();
});

test("a pull with undici's TLS and one identity on every hop", { skip }, async () => {
  const world = await start("B");
  const { certificate, key, label } = world.identity();
  const settings = {
    hosts: { [world.origin]: { identities: [{ label }] } },
    pairs: [{ registry: world.origin, token: world.token, identity: true, local: true }],
    credentials: { [world.origin]: "ask" },
  };
  const agent = new Agent(settings);
  const dispatcher = new undici.Agent({ connect: { cert: certificate, key, ca: world.authority } });
  const asked = [];
  const transcripts = [];
  const fetch = authFetch(agent, {
    fetch: undici.fetch,
    credentials: ({ registry }) => {
      asked.push(registry);
      return { username: world.user, password: world.password };
    },
    profile: ({ identity }) => (identity === label ? { init: { dispatcher } } : undefined),
    explain: (text) => transcripts.push(text),
  });
  try {
    const url = `${world.origin}/v2/${world.repository}/manifests/${world.manifest}`;
    const response = await fetch(url, { headers: { accept: "application/vnd.oci.image.manifest.v1+json" } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("docker-content-digest"), world.manifest);
    await response.arrayBuffer();
    assert.deepEqual(asked, [world.origin]);
    assert.match(agent.authorize("GET", url), /^Bearer /);
    const records = await world.records();
    const token = records.filter((record) => record.token);
    assert.equal(token.length, 1);
    assert.ok(records.every((record) => record.showed_identity));
    assert.match(transcripts[0], /got a token/);
    assert.ok(!transcripts[0].includes(world.password));

    // The same without the authority: the word for what OpenSSL says.
    const strict = authFetch(agent, {
      fetch: undici.fetch,
      profile: () => ({ init: { dispatcher: new undici.Agent({ connect: { cert: certificate, key } }) } }),
    });
    await assert.rejects(strict(url), { fault: "network", failure: "server-certificate" });
  } finally {
    await dispatcher.close();
    agent.close();
    await world.close();
  }
});
