// nginx and distribution v3 of tests/servers, started for one test and ended with it.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const root = new URL("../../../", import.meta.url).pathname;

/** Why the servers cannot run; a reason fails the test in CI and skips it elsewhere. */
export function missing() {
  for (const program of ["nginx", "cargo"]) {
    const found = spawnSync("sh", ["-c", `PATH=$PATH:/usr/sbin command -v ${program}`]);
    if (found.status !== 0) return lacking(program);
  }
  return spawnSync("test", ["-x", `${root}.tools/bin/registry-v3`]).status === 0 ? false : lacking("registry-v3");
}

function lacking(program) {
  const why = `${program} is missing. Run: sh tests/servers/install.sh`;
  if (process.env.CI === "true") throw new Error(why);
  console.error(`NOT TESTED: ${why}`);
  return why;
}

/** Starts a scenario: A, B, C or paired. `close()` ends it. */
export async function start(scenario) {
  const cargo = ["run", "--quiet", "--package", "regauth-servers", "--example", "world", "--", scenario];
  const child = spawn("cargo", cargo, { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the world ended by itself with ${await ended}`);
    return JSON.parse(value);
  };
  const facts = await next();
  const read = (path) => readFileSync(path, "utf8");
  return {
    ...facts,
    origin: `https://${facts.registry}`,
    token: `https://${facts.token_host}`,
    blobs: `https://${facts.blob_host}`,
    authority: read(facts.ca),
    identity: (pair = facts.client) => ({ label: pair.cert, certificate: read(pair.cert), key: read(pair.key) }),
    /** The requests that nginx has logged. */
    async records() {
      child.stdin.write("records\n");
      return next();
    },
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
