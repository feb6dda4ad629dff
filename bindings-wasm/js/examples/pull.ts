// Pulls the manifest of an image with a client certificate on every hop:
//   node pull.js IMAGE [CERTIFICATE KEY [CA]]
import { readFileSync } from "node:fs";
import { Agent, type HostConfig, exchangeFetch, parseReference } from "regauth/tls";

const [name = "alpine", certificate, key, ca] = process.argv.slice(2);
const image = parseReference(name);
const host: HostConfig = {};
if (certificate && key) {
  host.identities = [{ label: certificate, certificate: readFileSync(certificate), key: readFileSync(key) }];
}
if (ca) host.roots = { webpki: true, pem: [readFileSync(ca, "utf8")] };

const agent = new Agent({ hosts: { [image.origin]: host } });
const fetch = exchangeFetch(agent, { explain: (transcript) => process.stderr.write(transcript) });
try {
  const [endpoint] = agent.endpoints(name, "pull");
  if (!endpoint) throw new Error(`nothing is configured that serves ${name}`);
  const response = await fetch(endpoint.url(`manifests/${image.digest ?? image.tag}`), {
    headers: { accept: "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*" },
  });
  process.stdout.write(`${response.status}\n${await response.text()}\n`);
} finally {
  fetch.close();
  agent.close();
}
