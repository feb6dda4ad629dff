import * as glue from "#glue";
import type { Agent } from "./agent.js";
import { type HostConfig, type Roots, withHost } from "./config.js";
import { type RegauthError, call, input, open, taken } from "./errors.js";
import { view } from "./module.js";

/** What a TLS connection showed about client certificates. */
export interface Evidence {
  version?: "1.2" | "1.3";
  /** The issuers that the server named (RFC 4514). */
  hints: string[];
  /** What was shown: the server did not ask, no pair is configured, none fits, or one was shown. */
  shown: "not-asked" | "no-pair" | "none-fits" | "pair";
  /** Of `pair`. */
  label?: string;
  issuer?: string;
  /** Of `none-fits`: for each pair, why not. */
  reasons: string[];
  /** What speaks against the certificate by what it says of itself. */
  flaw?: string;
  /** The server saw the certificate of an earlier handshake. */
  resumed: boolean;
  /** The handshake came to its end on this side. */
  finished: boolean;
  /** Application data came: only then the identity was accepted. */
  accepted: boolean;
  /** The server asked after the handshake, which cannot be answered. */
  late: boolean;
  /** The fatal alert that the server sent (RFC 8446 section 6). */
  alert?: number;
}

/** @internal The facts, as they come out of the module. */
export function evidence(seen: readonly any[]): Evidence {
  const [version, shown, label, issuer, reasons, flaw, resumed, finished, accepted, late, alert, hints] = seen;
  return {
    hints,
    shown,
    reasons,
    resumed,
    finished,
    accepted,
    late,
    ...(version !== undefined && { version }),
    ...(label !== undefined && { label }),
    ...(issuer !== undefined && { issuer }),
    ...(flaw !== undefined && { flaw }),
    ...(alert !== undefined && { alert }),
  };
}

/** A TLS profile: one immutable set of roots, identities and options. Connections of one profile resume its sessions. */
export class Profile {
  #handle: glue.Profile | undefined;

  /** Of `config`, the TLS settings; `roots` where those have none: the compiled-in ones without this. */
  constructor(config: HostConfig = {}, roots: Roots = { webpki: true }) {
    this.#handle = withHost(config, (host) => new glue.Profile(host, roots.webpki ?? false, roots.pem ?? []));
  }

  /** The profile that the number of a step names. */
  static of(agent: Agent, id: number): Profile {
    const handle = glue.Profile.of(agent.handle, id);
    if (!handle) throw input("the agent has no profile of this number", "Give that of a step.");
    const profile = new Profile();
    profile.#handle?.free();
    profile.#handle = handle;
    return profile;
  }

  /** @internal */
  get handle(): glue.Profile {
    return open(this.#handle, "Profile");
  }

  close(): void {
    this.#handle?.free();
    this.#handle = undefined;
  }
}

/** What to do next. Bytes are in the module's memory, and valid until the next call of the package. */
export type Tls =
  | { kind: "write" | "plain"; bytes: Uint8Array }
  | { kind: "read" }
  | { kind: "closed" }
  | { kind: "failed"; error: RegauthError };

const KINDS = ["failed", "write", "plain", "read", "closed", "failed"] as const;

/** Layer b: TLS, bytes in and bytes out. */
export class TlsClient {
  #handle: glue.TlsClient | undefined;
  #now: () => number;

  /** A connection to the host and port of an origin such as `https://reg.example:5000`. */
  constructor(profile: Profile, origin: string, now: () => number = Date.now) {
    this.#now = now;
    this.#handle = call(() => glue.TlsClient.connect(profile.handle, origin, now()));
  }

  get #open(): glue.TlsClient {
    return open(this.#handle, "TlsClient");
  }

  /** What to do next: `wrote` for `write`, `took` for `plain`, `space` and `filled` for `read`. */
  poll(): Tls {
    const handle = this.#open;
    const kind = KINDS[handle.poll(this.#now())] ?? "failed";
    if (kind === "write" || kind === "plain") return { kind, bytes: view(handle.start, handle.len) };
    if (kind !== "failed") return { kind };
    const error = handle.error();
    return { kind, error: error ? taken(error) : input("the connection failed", "Make a new one.") };
  }

  /** Where to read to: valid until the next call. Empty where nothing more is wanted, for now or at all. */
  space(): Uint8Array {
    const handle = this.#open;
    handle.space();
    return view(handle.start, handle.len);
  }

  /** So many bytes were read into `space()`; 0 at the end of the stream. */
  filled(n: number): void {
    this.#open.filled(n);
  }

  wrote(n: number): void {
    this.#open.wrote(n);
  }

  /** Writing failed. Reading goes on: the alert that says why is often there already. */
  writeFailed(): void {
    this.#open.write_failed();
  }

  took(n: number): void {
    this.#open.took(n);
  }

  /** Encrypts some of these bytes and gives how many: none before the handshake is over. */
  send(plain: Uint8Array): number {
    return this.#open.send(plain);
  }

  /** Ends the connection: a close_notify is to be written. */
  end(): void {
    this.#open.close();
  }

  /** Whether the handshake is over. In TLS 1.3 that does not mean that the server accepted. */
  get ready(): boolean {
    return this.#open.ready();
  }

  get alpn(): string | undefined {
    return this.#open.alpn();
  }

  evidence(): Evidence {
    return evidence(this.#open.evidence());
  }

  close(): void {
    this.#handle?.free();
    this.#handle = undefined;
  }
}
