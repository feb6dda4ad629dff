// Figures of the npm package, beside Node's own TLS in the same run: npm run bench
//
// The machine's load is in all of them: minimum and median of several rounds, and ratios of rounds that alternate.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import nodeTls from "node:tls";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { Agent } from "../dist/index.mjs";
import { Profile, TlsClient } from "../dist/tls.mjs";

const dist = new URL("../dist/", import.meta.url);
const ROUNDS = Number(process.env.ROUNDS ?? 60);
const BULK = 32 << 20;

const sorted = (all) => [...all].sort((a, b) => a - b);
const spread = (all) => `min ${sorted(all)[0].toFixed(2)}, median ${sorted(all)[all.length >> 1].toFixed(2)}`;
const say = (what, text) => console.log(`${what.padEnd(42)} ${text}`);

say("load", loadavg().map((one) => one.toFixed(1)).join(" "));
for (const name of ["index", "config", "tls", "all", "mint"]) {
  const bytes = readFileSync(new URL(`${name}.wasm`, dist));
  say(`${name}.wasm`, `${bytes.length} bytes, gzip ${gzipSync(bytes, { level: 9 }).length}, brotli ${brotliCompressSync(bytes).length}`);
  const once = `const t = performance.now(); require(${JSON.stringify(new URL(`${name}.cjs`, dist).pathname)}); console.log(performance.now() - t)`;
  const times = Array.from({ length: 7 }, () => Number(execFileSync(process.execPath, ["-e", once], { encoding: "utf8" })));
  say(`  read, compiled and instantiated, ms`, spread(times));
}

warm();
await tls();

/** The warm path: a request to another blob each time, as a pull makes them. */
function warm() {
  const agent = new Agent();
  const base = "https://reg.example/v2/library/app/blobs/sha256:";
  const flow = agent.request("GET", `${base}${"0".repeat(64)}`);
  flow.poll();
  flow.answer({ status: 401, headers: [["www-authenticate", 'Bearer realm="/token"']] });
  flow.poll();
  const body = JSON.stringify({ token: "T".repeat(1000), expires_in: 3600 });
  flow.answer({ status: 200, headers: [], body: new TextEncoder().encode(body) });
  flow.poll();
  flow.close();
  const urls = Array.from({ length: 1000 }, (_, i) => base + String(i).padStart(64, "0"));
  const times = [];
  for (let round = 0; round < 20; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < 100_000; i++) if (!agent.authorize("GET", urls[i % 1000])) throw new Error("not warm");
    const { user, system } = process.cpuUsage(before);
    times.push(((user + system) * 1000) / 100_000);
  }
  say("warm authorise, ns of CPU", spread(times));
  agent.close();
}

async function tls() {
  const folder = mkdtempSync(join(tmpdir(), "regauth-bench-"));
  const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=bench CA");
  for (const [name, extension] of [["server", "subjectAltName=IP:127.0.0.1"], ["client", "extendedKeyUsage=clientAuth"]]) {
    openssl("req", "-x509", ...ec, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", `${name}.key`, "-out", `${name}.crt`, "-subj", `/CN=${name}`, "-addext", extension, "-addext", "basicConstraints=critical,CA:false");
  }
  const file = (name) => readFileSync(join(folder, name), "utf8");
  const server = spawn(process.execPath, [new URL("server.mjs", import.meta.url).pathname, folder, String(BULK)], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const ports = await new Promise((resolve) => server.stdout.once("data", (line) => resolve(JSON.parse(line))));
    const host = { identities: [{ certificate: file("client.crt"), key: file("client.key") }], roots: { pem: [file("ca.crt")] } };
    const native = { host: "127.0.0.1", cert: file("client.crt"), key: file("client.key"), ca: file("ca.crt") };

    const resuming = new Profile(host);
    const times = { module: [], resumed: [], node: [] };
    await overModule(resuming, ports.chacha, 0);
    for (let round = 0; round < ROUNDS; round++) {
      const fresh = new Profile(host);
      // The configuration is made by the first connection of a profile: that is not the handshake.
      new TlsClient(fresh, "https://127.0.0.1").close();
      times.module.push(await overModule(fresh, ports.chacha, 0));
      fresh.close();
      times.resumed.push(await overModule(resuming, ports.chacha, 0));
      times.node.push(await overNode({ ...native, port: ports.chacha }, 0));
    }
    say("TLS 1.3 with a client certificate, ms", spread(times.module));
    say("  resumed, ms", spread(times.resumed));
    say("  Node's own, ms", spread(times.node));
    say("  ratio of the minima, module to Node", (sorted(times.module)[0] / sorted(times.node)[0]).toFixed(2));
    for (const cipher of ["chacha", "aes"]) {
      const rates = { module: [], node: [] };
      for (let round = 0; round < 3; round++) {
        rates.module.push(BULK / 1e3 / (await overModule(resuming, ports[cipher], BULK)));
        rates.node.push(BULK / 1e3 / (await overNode({ ...native, port: ports[cipher] }, BULK)));
      }
      say(`${cipher}: received, MB/s`, `${Math.max(...rates.module).toFixed(0)}, Node's own ${Math.max(...rates.node).toFixed(0)}`);
    }
    resuming.close();
  } finally {
    server.stdin.end();
    rmSync(folder, { recursive: true });
  }
}

/** Milliseconds until the first byte that the server sends, or until `wanted` bytes came. */
function overModule(profile, port, wanted) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
    let client;
    let begun;
    let received = 0;
    const end = (error) => {
      const took = performance.now() - begun;
      client.close();
      client = undefined;
      socket.destroy();
      if (error) reject(error);
      else resolve(took);
    };
    const go = () => {
      for (;;) {
        const step = client.poll();
        if (step.kind === "write") {
          socket.write(step.bytes.slice());
          client.wrote(step.bytes.length);
        } else if (step.kind === "plain") {
          received += step.bytes.length;
          client.took(step.bytes.length);
          if (received >= Math.max(wanted, 1)) return end();
        } else if (step.kind === "read") return undefined;
        else return end(step.error ?? new Error("closed"));
      }
    };
    socket.on("error", reject);
    socket.on("connect", () => {
      begun = performance.now();
      client = new TlsClient(profile, `https://127.0.0.1:${port}`);
      go();
    });
    socket.on("data", (bytes) => {
      for (let at = 0; at < bytes.length && client; ) {
        const space = client.space();
        const part = bytes.subarray(at, at + space.length);
        space.set(part);
        client.filled(part.length);
        at += part.length;
        go();
      }
    });
  });
}

/** The same by Node's own TLS. */
function overNode(options, wanted) {
  return new Promise((resolve, reject) => {
    const raw = net.connect({ host: options.host, port: options.port, noDelay: true });
    raw.on("error", reject);
    raw.on("connect", () => {
      const begun = performance.now();
      let received = 0;
      const socket = nodeTls.connect({ ...options, socket: raw });
      socket.on("error", reject);
      socket.on("data", (bytes) => {
        received += bytes.length;
        if (received < Math.max(wanted, 1)) return;
        socket.destroy();
        resolve(performance.now() - begun);
      });
    });
  });
}
