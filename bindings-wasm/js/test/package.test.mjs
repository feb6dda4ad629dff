// The packed tarball, installed into projects as people have them, and run there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";

const here = new URL("..", import.meta.url).pathname;
const bin = (name) => join(here, "node_modules/.bin", name);
const folder = mkdtempSync(join(tmpdir(), "regauth-package-"));

function run(program, args, cwd) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
  assert.equal(status, 0, `${program} ${args.join(" ")}:\n${stdout}${stderr}`);
  return stdout;
}

before(() => {
  const [{ filename, files }] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder], here));
  const names = files.map(({ path }) => path);
  assert.deepEqual(names.filter((name) => !/^(dist\/|README\.md$|package\.json$)/.test(name)), []);
  // Once for all projects, which are folders in here and find it as packages are found.
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "projects", private: true }));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", join(folder, filename)], folder);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** A project that has the package. */
function project(name, manifest, files) {
  const at = join(folder, name);
  mkdirSync(at);
  writeFileSync(join(at, "package.json"), JSON.stringify({ name, version: "1.0.0", private: true, ...manifest }));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(at, file), text);
  return at;
}

// One request through each entry: a challenge, a token, the answer.
const use = `
  export function use({ Agent, parseChallenges }) {
    const agent = new Agent({}, { now: () => 1e12 });
    const flow = agent.request("GET", "https://reg.example/v2/app/manifests/1");
    flow.poll();
    flow.answer({ status: 401, headers: [["www-authenticate", 'Bearer realm="/token"']] });
    flow.poll();
    flow.answer({ status: 200, headers: [], body: new TextEncoder().encode('{"token": "T", "expires_in": 300}') });
    const { headers } = flow.poll();
    flow.close();
    const { challenges } = parseChallenges("Basic realm=x");
    return headers[0][1] + " " + challenges[0].scheme + " " + agent.authorize("GET", "https://reg.example/v2/app/manifests/1");
  }
`;
const USED = "Bearer T Basic Bearer T";
const ENTRIES = ["regauth", "regauth/config", "regauth/tls", "regauth/all"];
const imports = ENTRIES.map((entry, i) => `import * as e${i} from "${entry}";`).join("\n");
const esm = `${imports}\nimport { use } from "./use.mjs";\nfor (const entry of [e0, e1, e2, e3]) console.log(use(entry));`;
const all = Array(4).fill(USED).join("\n");

test("Node, ECMAScript modules", () => {
  const at = project("esm", { type: "module" }, { "use.mjs": use, "main.mjs": esm });
  assert.equal(run("node", ["main.mjs"], at).trim(), all);
});

test("Node, CommonJS", () => {
  const cjs = use.replace("export function use", "module.exports.use = function");
  const main = `const { use } = require("./use.cjs");\nfor (const entry of ${JSON.stringify(ENTRIES)}) console.log(use(require(entry)));`;
  const at = project("cjs", {}, { "use.cjs": cjs, "main.cjs": main });
  assert.equal(run("node", ["main.cjs"], at).trim(), all);
});

test("both kinds of import in one program share one module", () => {
  const main = `import { createRequire } from "node:module";
    import { Agent } from "regauth";
    console.log(Agent === createRequire(import.meta.url)("regauth").Agent);`;
  const at = project("both", {}, { "main.mjs": main });
  assert.equal(run("node", ["main.mjs"], at).trim(), "true");
});

for (const [name, module, moduleResolution, type] of [
  ["node16-esm", "node16", "node16", "module"],
  ["bundler", "esnext", "bundler", "module"],
]) {
  test(`TypeScript --strict on the examples, ${name}`, () => {
    const compilerOptions = {
      target: "es2022", module, moduleResolution, strict: true, exactOptionalPropertyTypes: true, outDir: "out",
      types: ["node"], typeRoots: [join(here, "node_modules/@types")],
    };
    const at = project(name, { type }, { "tsconfig.json": JSON.stringify({ compilerOptions, include: ["*.ts"] }) });
    for (const file of readdirSync(join(here, "examples"))) cpSync(join(here, "examples", file), join(at, file));
    run(bin("tsc"), ["--project", "."], at);
    writeFileSync(join(at, "config.json"), JSON.stringify({ auths: { "reg.example": { auth: "!" } } }));
    assert.match(run("node", ["out/docker-config.js", "config.json"], at), /^(error|warning): config\.json/m);
  });
}

test("TypeScript, CommonJS", () => {
  const compilerOptions = {
    target: "es2022", module: "node16", moduleResolution: "node16", strict: true, outDir: "out",
    lib: ["es2022", "dom"], types: [],
  };
  const main = `import { Agent } from "regauth";\nimport { exchangeFetch, Agent as TlsAgent } from "regauth/tls";
    const agent: Agent = new Agent({ credentials: { "https://a.example": { username: "u", password: "p" } } });
    console.log(agent.authorize("GET", "https://a.example/v2/"), typeof exchangeFetch(new TlsAgent()));`;
  const at = project("ts-cjs", {}, { "tsconfig.json": JSON.stringify({ compilerOptions }), "main.ts": main });
  run(bin("tsc"), ["--project", "."], at);
  assert.equal(run("node", ["out/main.js"], at).trim(), "undefined function");
});

for (const platform of ["node", "browser"]) {
  test(`esbuild, for ${platform}: one file that needs no other`, async () => {
    const at = project(`esbuild-${platform}`, {}, { "use.mjs": use, "main.mjs": esm });
    const elsewhere = mkdtempSync(join(tmpdir(), "regauth-bundle-"));
    const outfile = join(elsewhere, "bundle.mjs");
    await build({ entryPoints: [join(at, "main.mjs")], outfile, bundle: true, platform, format: "esm", logLevel: "error" });
    assert.equal(run("node", [outfile], elsewhere).trim(), all);
    rmSync(elsewhere, { recursive: true });
  });
}

test("Deno, without any permission", () => {
  const at = project("deno", { type: "module" }, { "use.mjs": use, "main.mjs": esm });
  assert.equal(run(bin("deno"), ["run", "--no-remote", "--node-modules-dir=manual", "--no-prompt", "main.mjs"], at).trim(), all);
});

test("Workers: workerd takes the module from its file", async () => {
  const checks = `export default { test() {\nfor (const entry of [e0, e1, e2, e3]) if (use(entry) !== "${USED}") throw new Error(use(entry));\n} };`;
  const main = `${imports}\nimport { use } from "./use.mjs";\n${checks}`;
  const at = project("worker", {}, { "use.mjs": use, "main.mjs": main });
  const outfile = join(at, "out/worker.js");
  await build({
    entryPoints: [join(at, "main.mjs")], outfile, bundle: true, format: "esm", conditions: ["workerd"],
    loader: { ".wasm": "copy" }, assetNames: "[name]", logLevel: "error",
  });
  const modules = readdirSync(join(at, "out")).filter((name) => name.endsWith(".wasm"));
  assert.equal(modules.length, 4);
  const listed = modules.map((name) => `( name = "./${name}", wasm = embed "out/${name}" )`).join(", ");
  writeFileSync(
    join(at, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = ( services = [ ( name = "main", worker = (
      modules = [ ( name = "worker", esModule = embed "out/worker.js" ), ${listed} ],
      compatibilityDate = "2025-06-01" ) ) ] );`,
  );
  run(bin("workerd"), ["test", "config.capnp"], at);
});
