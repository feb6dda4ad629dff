// Pulls over node:net with TLS from the module, against nginx that requires a client certificate, and distribution v3.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import net from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { Agent, RegauthError, exchangeFetch } from "../dist/tls.mjs";
import * as all from "../dist/all.mjs";
import { missing, start } from "./world.mjs";

const skip = missing();
const headers = { accept: "application/vnd.oci.image.manifest.v1+json" };
const sha256 = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

function config(world, more = {}) {
  return {
    hosts: { [world.origin]: { identities: [world.identity()], roots: { pem: [world.authority] } } },
    roots: { pem: [world.authority] },
    credentials: { [world.origin]: { username: world.user, password: world.password } },
    ...more,
  };
}

/** Manifest and layers, by digest; gives what went out. */
async function pull(fetch, world) {
  const sent = [];
  const get = async (what) => {
    const response = await fetch(`${world.origin}/v2/${world.repository}/${what}`, { headers });
    assert.equal(response.status, 200, what);
    const bytes = new Uint8Array(await response.arrayBuffer());
    assert.equal(sha256(bytes), what.split("/")[1]);
    sent.push(...response.sent);
  };
  await get(`manifests/${world.manifest}`);
  for (const layer of world.layers) await get(`blobs/${layer}`);
  return sent;
}

const pairs = {
  A: () => ({}),
  B: (world) => ({ pairs: [{ registry: world.origin, token: world.token, identity: true, local: true }] }),
  C: () => ({}),
};

for (const scenario of ["A", "B", "C"]) {
  test(`scenario ${scenario}: the identity goes where it belongs`, { skip }, async () => {
    const world = await start(scenario);
    const agent = new Agent(config(world, pairs[scenario](world)));
    const fetch = exchangeFetch(agent);
    try {
      const sent = await pull(fetch, world);
      const token = sent.filter(({ hop }) => hop === "token");
      assert.equal(token.length, 1, "one token request for all of it");
      assert.equal(token[0].evidence.shown, "pair");
      assert.equal(token[0].evidence.version, "1.3");
      assert.equal(token[0].authorization, "Basic");
      for (const one of sent.filter(({ hop }) => hop === "redirect")) {
        assert.equal(one.identity, undefined, "nothing of the registry's goes to storage");
        assert.equal(one.authorization, undefined);
      }
      assert.equal(sent.some(({ hop }) => hop === "redirect"), scenario === "C");
      const connections = sent.filter(({ reused }) => !reused).length;
      assert.ok(connections <= (scenario === "A" ? 1 : 2), `${connections} connections`);
      // The server's view of the same.
      const records = await world.records();
      const own = records.filter(({ server }) => server === world.registry && world.registry !== world.blob_host);
      for (const record of [...own, ...records.filter(({ token }) => token)]) assert.equal(record.showed_identity, true, record.brief);
      for (const record of records.filter(({ server }) => scenario === "C" && server === world.blob_host)) {
        assert.equal(record.showed_identity, false, record.brief);
      }
    } finally {
      fetch.close();
      agent.close();
      await world.close();
    }
  });
}

test("pushes, errors, other streams", { skip }, async (t) => {
  const world = await start("A");
  const agents = [];
  const make = (settings, options = {}) => {
    const agent = new Agent(settings);
    const fetch = exchangeFetch(agent, options);
    agents.push(() => {
      fetch.close();
      agent.close();
    });
    return { agent, fetch };
  };
  const manifest = `${world.origin}/v2/${world.repository}/manifests/${world.manifest}`;
  try {
    await t.test("a blob is pushed, from bytes and from a stream", async () => {
      const { agent, fetch } = make(config(world));
      const bytes = new Uint8Array(300_000).map((_, i) => (i * 31) % 251);
      for (const body of [bytes, ReadableStream.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)])]) {
        const begun = await fetch(`${world.origin}/v2/${world.repository}/blobs/uploads/`, { method: "POST" });
        assert.equal(begun.status, 202);
        await begun.arrayBuffer();
        const url = `${begun.headers.get("location")}&digest=${sha256(bytes)}`;
        const done = await fetch(new URL(url, world.origin), {
          method: "PUT",
          headers: { "content-type": "application/octet-stream" },
          body,
        });
        assert.equal(done.status, 201);
        await done.arrayBuffer();
      }
      const back = await fetch(`${world.origin}/v2/${world.repository}/blobs/${sha256(bytes)}`);
      assert.equal(sha256(new Uint8Array(await back.arrayBuffer())), sha256(bytes));
      assert.ok(agent.authorize("GET", manifest)?.startsWith("Bearer "));
    });

    await t.test("without a certificate: what the server said and what to do", async () => {
      const { fetch } = make({ roots: { pem: [world.authority] } });
      // nginx answers 400 over HTTP to a request without a certificate.
      const response = await fetch(manifest);
      assert.equal(response.status, 400);
      assert.equal(response.sent[0].evidence.shown, "no-pair");
    });

    await t.test("an unknown authority is a network error with the reason", async () => {
      const { fetch } = make({ hosts: { [world.origin]: { identities: [world.identity()], roots: { webpki: true } } } });
      await assert.rejects(fetch(manifest), (error) => {
        assert.ok(error instanceof RegauthError);
        assert.deepEqual([error.fault, error.failure], ["network", "server-certificate"]);
        return true;
      });
    });

    await t.test("a wrong password", async () => {
      const wrong = { credentials: { [world.origin]: { username: world.user, password: "hunter2" } } };
      const { fetch } = make({ ...config(world), ...wrong });
      await assert.rejects(fetch(manifest), (error) => {
        assert.deepEqual([error.fault, error.kind, error.status], ["token-service", "token-refused", 401]);
        assert.ok(!`${error.stack}`.includes("hunter2"));
        return true;
      });
    });

    await t.test("credentials are looked up once for twenty requests at a time", async () => {
      let asked = 0;
      const { fetch } = make(config(world, { credentials: { [world.origin]: "ask" } }), {
        async credentials({ registry }) {
          asked++;
          assert.equal(registry, world.origin);
          return { username: world.user, password: world.password };
        },
      });
      const before = (await world.records()).filter(({ token }) => token).length;
      const statuses = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const response = await fetch(manifest, { method: "HEAD", headers });
          return response.status;
        }),
      );
      assert.deepEqual(new Set(statuses), new Set([200]));
      assert.equal(asked, 1);
      assert.equal((await world.records()).filter(({ token }) => token).length - before, 1, "one token request");
    });

    await t.test("web streams and any Node duplex will do", async () => {
      const ways = [(socket) => Duplex.toWeb(socket), (socket) => socket];
      for (const way of ways) {
        const { fetch } = make(config(world), {
          async connect({ host, port, dial }) {
            dial(host);
            return way(net.connect({ host, port }));
          },
        });
        const response = await fetch(manifest, { headers });
        assert.equal(sha256(new Uint8Array(await response.arrayBuffer())), world.manifest);
      }
    });

    await t.test("nobody listens: the error says so and has the cause", async () => {
      const { fetch } = make({});
      await assert.rejects(fetch("https://127.0.0.9:9/v2/"), (error) => {
        assert.deepEqual([error.fault, error.failure, error.cause.code], ["network", "connect", "ECONNREFUSED"]);
        return true;
      });
    });

    await t.test("an abort ends it", async () => {
      const { fetch } = make(config(world), { connect: () => new Promise(() => undefined) });
      await assert.rejects(fetch(manifest, { signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
    });

    await t.test("Docker's certs.d, imported", async () => {
      const { certificate, key } = world.identity();
      const entries = { [`${world.registry}/ca.crt`]: world.authority, [`${world.registry}/client.cert`]: certificate, [`${world.registry}/client.key`]: key };
      const login = JSON.stringify({ auths: { [world.registry]: { auth: btoa(`${world.user}:${world.password}`) } } });
      const imported = all.importConfig([
        { format: "docker-certs", directory: { name: "/etc/docker/certs.d", entries } },
        { format: "docker-config", name: "/root/.docker/config.json", contents: login },
      ]);
      assert.deepEqual(imported.diagnostics.filter(({ severity }) => severity === "error"), []);
      const agent = new all.Agent(imported.configuration);
      imported.configuration.close();
      const fetch = all.exchangeFetch(agent);
      agents.push(() => {
        fetch.close();
        agent.close();
      });
      const response = await fetch(manifest, { headers });
      assert.equal(sha256(new Uint8Array(await response.arrayBuffer())), world.manifest);
    });
  } finally {
    for (const close of agents) close();
    await world.close();
  }
});
