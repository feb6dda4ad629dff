// A TLS server for bench.mjs, in a process of its own: server.mjs FOLDER BYTES. Prints its ports; ends with its input.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import tls from "node:tls";

const [folder, bytes] = process.argv.slice(2);
const file = (name) => readFileSync(join(folder, name));
const chunk = Buffer.alloc(1 << 16);
const ports = {};
for (const [name, ciphers] of [["chacha", "TLS_CHACHA20_POLY1305_SHA256"], ["aes", "TLS_AES_128_GCM_SHA256"]]) {
  const options = { cert: file("server.crt"), key: file("server.key"), ca: file("ca.crt"), requestCert: true, rejectUnauthorized: true, ciphers, minVersion: "TLSv1.3", noDelay: true };
  const server = tls.createServer(options, (socket) => {
    let left = Number(bytes);
    const send = () => {
      while (left > 0) {
        left -= chunk.length;
        if (!socket.write(chunk)) return;
      }
    };
    socket.on("drain", send);
    socket.on("error", () => undefined);
    send();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  ports[name] = server.address().port;
}
console.log(JSON.stringify(ports));
process.stdin.resume().on("end", () => process.exit(0));
