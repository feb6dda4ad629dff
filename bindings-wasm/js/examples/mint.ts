// Writes the certificates of one buildkitd and its clients: node mint.js DIRECTORY [NAME...]
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildkitd } from "regauth/mint";

const [where, ...names] = process.argv.slice(2);
if (where === undefined) throw new Error("say where to: node mint.js DIRECTORY [NAME...]");
const directory = resolve(where);
const bundle = buildkitd({ names: names.length > 0 ? names : ["localhost", "127.0.0.1"], ttl: 4 * 3600, directory });
mkdirSync(directory, { recursive: true, mode: 0o700 });
for (const { name, pem } of bundle.files) writeFileSync(join(directory, name), pem, { mode: 0o600, flag: "wx" });
process.stdout.write(`until ${new Date(bundle.notAfter).toISOString()}\n`);
for (const { what, command } of bundle.commands) process.stdout.write(`${what}:\n  ${command}\n`);
