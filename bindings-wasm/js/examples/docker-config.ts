// Says what Docker's and regauth's own configuration come to: node docker-config.js CONFIG.JSON [REGAUTH.TOML]
import { readFileSync } from "node:fs";
import { type Contents, type Source, importConfig } from "regauth/config";

function read(name: string): Contents {
  try {
    return readFileSync(name);
  } catch (error) {
    return { unreadable: error instanceof Error ? error.message : String(error) };
  }
}

const [docker = "config.json", regauth] = process.argv.slice(2);
const sources: Source[] = [{ format: "docker-config", name: docker, contents: read(docker) }];
if (regauth) sources.unshift({ format: "regauth", name: regauth, contents: read(regauth) });
// The files that a first import names are read for the second one.
const { wanted, configuration: first } = importConfig(sources);
first.close();
const files = Object.fromEntries(wanted.map((name) => [name, read(name)]));
const { configuration, diagnostics } = importConfig(sources, { files, now: Date.now() });
for (const { severity, file, line, what, remedy } of diagnostics) {
  process.stdout.write(`${severity}: ${file}${line === undefined ? "" : `:${line}`}: ${what}. ${remedy}\n`);
}
configuration.close();
