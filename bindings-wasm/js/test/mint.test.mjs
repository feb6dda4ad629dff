// What the module mints is what the core mints, byte for byte, and what OpenSSL accepts.
import assert from "node:assert/strict";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { Ca, buildkitd } from "../dist/mint.mjs";

const root = new URL("../../../", import.meta.url).pathname;
const names = ["builds.example", "127.0.0.1"];

test("the same time and entropy give the core's bytes", () => {
  const [now, ttl, byte] = [1_800_000_000_000, 3600, 7];
  const run = ["run", "--quiet", "--package", "regauth-servers", "--example", "minted", "--", now, ttl, byte, ...names];
  const native = spawnSync("cargo", run.map(String), { cwd: root, encoding: "utf8" });
  assert.equal(native.status, 0, native.stderr);
  const uri = "spiffe://example.org/builder/1";
  const bundle = buildkitd({ names, uri, ttl, now, entropy: new Uint8Array(32).fill(byte), directory: "/etc/buildkit" });
  assert.deepEqual(Object.fromEntries(bundle.files.map(({ name, pem }) => [name, pem])), JSON.parse(native.stdout));
  assert.equal(bundle.notAfter, now + ttl * 1000);
  const commands = bundle.commands.map(({ command }) => command).join("\n");
  assert.match(commands, /^buildkitd --addr tcp:\/\/0\.0\.0\.0:1234 --tlscacert \/etc\/buildkit\/ca\.pem/m);
});

test("without them, the clock's and the system's: a chain that another implementation takes", () => {
  const { files } = buildkitd({ names, ttl: 60, directory: "/tmp" });
  const of = (name) => files.find((file) => file.name === name).pem;
  const ca = new X509Certificate(of("ca.pem"));
  for (const name of ["server", "client", "health-check"]) {
    const leaf = new X509Certificate(of(`${name}.pem`));
    assert.ok(leaf.verify(ca.publicKey) && leaf.checkIssued(ca), name);
    assert.ok(leaf.checkPrivateKey(createPrivateKey(of(`${name}.key`))), name);
  }
  assert.ok(new X509Certificate(of("server.pem")).checkHost("builds.example"));
  assert.ok(new X509Certificate(of("server.pem")).checkIP("127.0.0.1"));
});

test("one by one, and errors", () => {
  const ca = new Ca("tests", { ttl: 3600 });
  const { certificate, key, notAfter } = ca.client("builder", { ttl: 60, uri: "spiffe://example.org/a" });
  const leaf = new X509Certificate(certificate);
  assert.ok(leaf.verify(new X509Certificate(ca.certificate).publicKey) && leaf.checkPrivateKey(createPrivateKey(key)));
  assert.match(leaf.subjectAltName, /URI:spiffe:\/\/example\.org\/a/);
  assert.ok(notAfter <= ca.notAfter);
  assert.throws(() => ca.server([], { ttl: 60 }), /name/i);
  assert.throws(() => ca.server(["a.example"], { ttl: 60, entropy: new Uint8Array(3) }), /32 random bytes/);
  assert.throws(() => new Ca("tests", { ttl: 1e6 }), /86400/);
  ca.close();
  assert.throws(() => ca.certificate, /closed/);
});
