/**
 * Layers b and c of `regauth`: TLS with client certificates, bytes in and bytes out, and whole exchanges over byte streams.
 *
 * A module of its own, which has layer a too: its agents cannot be mixed with those of another entry.
 *
 * @module
 */
export * from "./exchange.js";
export * from "./exchange-fetch.js";
export * from "./index.js";
export type { Duplex } from "./stream.js";
export { Profile, TlsClient, type Evidence, type Tls } from "./tls.js";
