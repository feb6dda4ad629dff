// The module itself: what it imports, how large it is, what a panic does, and that it does not grow.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);

// Kilobytes (1,000 bytes) as they are and compressed (gzip -9): a sixth above what they are, so that a jump is seen. So much
// larger they are where they have rustup's standard library and none of their own.
const SIZES = { index: [228, 103], config: [620, 271], tls: [965, 446], all: [1347, 612], mint: [137, 59] };
// What a module asks of its host: the glue's own functions. With TLS: what finds and asks the host's random numbers.
const GLUE = "__wbindgen_string_get __wbindgen_throw __wbindgen_init_externref_table __wbindgen_generic";
const IMPORTS = {
  index: GLUE,
  config: `${GLUE} config_new`,
  tls: `${GLUE} __wbindgen_is_undefined __wbindgen_is_string __wbindgen_is_function __wbindgen_is_object
    static_accessor_GLOBAL static_accessor_GLOBAL_THIS static_accessor_WINDOW static_accessor_SELF crypto msCrypto process
    versions node require new_with_length call subarray getRandomValues randomFillSync length prototypesetcall`,
};
IMPORTS.mint = "Error __wbindgen_string_get __wbindgen_throw __wbindgen_init_externref_table __wbindgen_generic";
IMPORTS.all = `${IMPORTS.config} ${IMPORTS.tls}`;

for (const [name, [raw, compressed]] of Object.entries(SIZES)) {
  test(`${name}: imports and size`, () => {
    const bytes = readFileSync(new URL(`${name}.wasm`, dist));
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes));
    const plain = ({ name: what }) => what.replace(/^__wbg_/, "").replace(/_[0-9a-f]{16}$/, "");
    const allowed = new Set(IMPORTS[name].split(/\s+/));
    assert.deepEqual(imports.map(plain).filter((what) => !allowed.has(what)), []);
    assert.ok(imports.every(({ kind }) => kind === "function"));
    assert.equal(new Set(imports.map(({ module }) => module)).size, 1, "one place to import from");
    const zipped = gzipSync(bytes, { level: 9 }).length;
    assert.ok(bytes.length <= raw * 1000, `${bytes.length} bytes`);
    assert.ok(zipped <= compressed * 1000, `${zipped} bytes compressed`);
  });
}

test("a panic closes the module for good, with a named error", () => {
  const script = `
    const assert = require("node:assert/strict");
    const regauth = require(${JSON.stringify(new URL("index.cjs", dist).pathname)});
    const agent = new regauth.Agent();
    const flow = agent.request("GET", "https://reg.example/v2/");
    assert.throws(() => regauth.panicForTest(), (error) => {
      assert.ok(error instanceof regauth.PanicError);
      assert.equal(error.name, "RegauthPanicError");
      assert.match(error.message, /wasm-function\\[\\d+\\]/);
      assert.ok(!error.message.includes("asked for"), "no text of the panic");
      return true;
    });
    assert.throws(() => flow.poll(), { name: "RegauthPanicError" });
    assert.throws(() => new regauth.Agent(), { name: "RegauthPanicError" });
    assert.throws(() => regauth.parseOrigin("https://a.example"), { name: "RegauthPanicError" });
    flow.close();
    agent.close();
    console.log("closed");
  `;
  const { stdout, stderr, status } = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), "closed");
});

test("what is closed says so, and closing twice does no harm", async () => {
  const { Agent } = await import("../dist/index.mjs");
  const agent = new Agent();
  const flow = agent.request("GET", "https://reg.example/v2/");
  flow.close();
  flow.close();
  assert.throws(() => flow.poll(), { name: "RegauthClosedError" });
  agent.close();
  assert.throws(() => agent.authorize("GET", "https://reg.example/v2/"), { name: "RegauthClosedError" });
  assert.throws(() => agent.request("GET", "https://reg.example/v2/"), { name: "RegauthClosedError" });
});

test("closing the flow that fetches hands its duty on, told in a microtask", async () => {
  const { Agent } = await import("../dist/index.mjs");
  const agent = new Agent({ credentials: { "https://reg.example": "ask" } });
  const [first, second] = ["a", "b"].map(() => agent.request("GET", "https://reg.example/v2/app/manifests/1"));
  for (const flow of [first, second]) assert.equal(flow.poll().kind, "send");
  for (const flow of [first, second]) {
    flow.answer({ status: 401, headers: [["www-authenticate", 'Bearer realm="https://reg.example/token"']] });
  }
  assert.equal(first.poll().kind, "credentials");
  const wait = second.poll();
  assert.equal(wait.kind, "wait");
  const woken = second.wait(wait.until);
  first.close();
  await woken;
  assert.equal(second.poll().kind, "credentials");
  second.close();
  agent.close();
});

test("200,000 requests without one new page of memory", async () => {
  const { Agent, memoryPages } = await import("../dist/index.mjs");
  const agent = new Agent({}, { now: () => 1e12 });
  const url = "https://reg.example/v2/app/manifests/1";
  const challenge = { status: 401, headers: [["www-authenticate", 'Bearer realm="/token"']] };
  const token = { status: 200, headers: [], body: new TextEncoder().encode('{"token": "T", "expires_in": 300}') };
  const answer = { status: 200, headers: [["content-type", "application/json"]] };
  const once = () => {
    const flow = agent.request("GET", url);
    for (let step = flow.poll(); step.kind !== "done"; step = flow.poll()) {
      const authorized = step.headers.some(([name]) => name === "Authorization");
      flow.answer(step.hop === "token" ? token : authorized ? answer : challenge);
    }
    flow.close();
  };
  for (let i = 0; i < 2_000; i++) once();
  const before = memoryPages();
  for (let i = 0; i < 200_000; i++) once();
  assert.equal(memoryPages(), before);
  agent.close();
});
