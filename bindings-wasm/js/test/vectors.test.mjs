// The vectors of tests/vectors, run through the package: what each kind means is said in the README there. Kinds that
// JavaScript has no call for are run by the core's own runner on wasm: core.test.mjs.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { runFlow } from "./vector-flow.mjs";

const folder = new URL("../../../tests/vectors/", import.meta.url);
const NOT_HERE = new Set(["merge", "cover", "token-answer", "decide"]);

// The package has one character a byte where bytes need not be text.
const utf8 = (value) => Buffer.from(value, "latin1").toString("utf8");
const latin1 = (value) => Buffer.from(value, "utf8").toString("latin1");

function orError(make) {
  try {
    return make();
  } catch (error) {
    assert.equal(error.name, "RegauthError", error.stack);
    return undefined;
  }
}

const KINDS = {
  challenge(api, line) {
    const { challenges, flaws } = api.parseChallenges(line.headers.map(latin1));
    const list = challenges.map(({ scheme, token68, params }) => ({
      scheme: scheme.toLowerCase(),
      params: Object.fromEntries(params.map(([name, value]) => [name.toLowerCase(), utf8(value)])),
      ...(token68 !== undefined && { token68 }),
    }));
    if ("expect" in line) assert.deepEqual(list, line.expect);
    if ("valid" in line) assert.equal(flaws === 0, line.valid);
  },
  origin(api, line) {
    const origin = orError(() => api.parseOrigin(line.url));
    assert.equal(origin, line.error ? undefined : line.origin);
  },
  scope(api, line) {
    assert.deepEqual(api.scopesOf(line.method, line.path) ?? null, line.scopes);
  },
  reference(api, line) {
    const came = orError(() => api.parseReference(line.name));
    assert.equal(came === undefined, line.error === true);
    for (const [name, value] of Object.entries(came ?? {})) if (name in line) assert.equal(value, line[name], name);
  },
  flow: runFlow,
};

for (const entry of ["index", "all"]) {
  const api = await import(`../dist/${entry}.mjs`);
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".jsonl"))) {
    const lines = readFileSync(new URL(file, folder), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
    const here = lines.filter((line) => !NOT_HERE.has(line.kind));
    if (here.length === 0) continue;
    test(`${entry}: ${file}, ${here.length} of ${lines.length}`, async () => {
      const failed = [];
      for (const line of here) {
        try {
          await KINDS[line.kind](api, line);
        } catch (error) {
          failed.push(`${line.id}: ${error.message}`);
        }
      }
      assert.deepEqual(failed, []);
    });
  }
}
