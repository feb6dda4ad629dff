import * as glue from "#glue";
import type { Agent } from "./agent.js";
import { flat } from "./config.js";
import { type Failure, type Hop, RegauthError, call, open, taken } from "./errors.js";
import { type Flow, type Found, type Query, Referrer, query } from "./flow.js";
import { view } from "./module.js";
import { type Evidence, evidence } from "./tls.js";
import { closed, wait, woke } from "./wake.js";

/** Where a stream is wanted to. The exchange speaks TLS itself. */
export interface Target {
  /** Scheme, host and port. */
  origin: string;
  /** For a resolver: IPv6 without brackets. */
  host: string;
  port: number;
  hop: Hop;
  /** Whether a pooled link will do. */
  pooled: boolean;
  /** What it is pooled by: through a proxy that resolves the name, and without. */
  keys: { proxied: string; direct: string };
}

/** What to do next. Bytes are in the module's memory, and valid until the next call of the package. */
export type Do =
  /** Connect, or take a link out of the pool: `dial`, then `connected` or `failed`. */
  | { kind: "connect"; to: Target }
  /** Write some of these bytes: `wrote` or `failed`. */
  | { kind: "write"; bytes: Uint8Array }
  /** Read into `space()`: `filled` or `failed`. */
  | { kind: "read" }
  /** The next bytes of the application's body, from its start once more where `again`: `body` or `bodyGone`. */
  | { kind: "want-body"; again: boolean }
  /** The head of the application's answer: `tookHead`. */
  | { kind: "head"; status: number; headers: [string, string][] }
  /** Content of the answer: `took`. */
  | { kind: "body"; bytes: Uint8Array }
  | ({ kind: "credentials" } & Query)
  | { kind: "wait"; until: number; why: string }
  /** The stream is of no more use here: `takeLink`, then `closed`. */
  | { kind: "close" }
  /** The answer is whole: `takeLink`. */
  | { kind: "done"; status: number; mountDenied: boolean }
  | { kind: "failed"; error: RegauthError };

/** A request that went out, and what came of it. */
export interface Sent {
  hop: Hop;
  method: string;
  /** Without the query, which may hold a signature. */
  url: string;
  /** The labels of the identities that its connection may show. */
  identity?: string;
  /** The scheme of its Authorization. */
  authorization?: string;
  /** Whether the connection had served an earlier request. */
  reused: boolean;
  status?: number;
  /** What the connection showed about client certificates; undefined for plain http. */
  evidence?: Evidence;
}

/** The state of an idle connection, to be pooled with its stream. */
export class Link {
  #handle: glue.Link | undefined;
  readonly key: string;

  /** @internal */
  constructor(handle: glue.Link) {
    this.#handle = handle;
    this.key = handle.key();
  }

  /** @internal */
  take(): glue.Link {
    const handle = open(this.#handle, "Link");
    this.#handle = undefined;
    return handle;
  }

  close(): void {
    this.#handle?.free();
    this.#handle = undefined;
  }
}

const KINDS = [
  "failed", "connect", "write", "read", "want-body", "head", "body", "credentials", "wait", "close", "done", "failed",
] as const;

/**
 * Layer c: one request with all that belongs to it, token requests, redirects, connections, over byte streams that the
 * host gives. `poll` says what to do, as `Flow.poll` does. `exchangeFetch` drives it for you.
 */
export class Exchange {
  #agent: Agent;
  #handle: glue.Exchange | undefined;
  #number: number;

  /** The flow is taken. */
  constructor(agent: Agent, flow: Flow) {
    this.#agent = agent;
    const taken = flow.take();
    this.#handle = call(() => new glue.Exchange(agent.handle, taken));
    this.#number = this.#handle.number;
  }

  get #open(): glue.Exchange {
    return open(this.#handle, "Exchange");
  }

  /** Adds a field to the application's requests, before the first `poll`. */
  header(name: string, value: string): void {
    call(() => this.#open.header(name, value));
  }

  /** Announces a body, before the first `poll`; without a length it goes out in chunks. `rewinds`: it can be read again. */
  announceBody(length?: number, rewinds = false): void {
    this.#open.body_len(length);
    if (rewinds) this.#open.body_rewinds();
  }

  /** What to do next. Idempotent. */
  poll(): Do {
    const handle = this.#open;
    const now = this.#agent.now();
    const kind = KINDS[handle.poll(now)] ?? "failed";
    if (kind === "read" || kind === "close") return { kind };
    if (kind === "write" || kind === "body") return { kind, bytes: view(handle.start, handle.len) };
    const [first, ...rest] = handle.detail(now);
    switch (kind) {
      case "connect": {
        const [host, port, hop, pooled, proxied, direct] = rest;
        return { kind, to: { origin: first, host, port, hop, pooled, keys: { proxied, direct } } };
      }
      case "want-body":
        return { kind, again: first };
      case "head": {
        const headers: [string, string][] = [];
        for (let i = 0; i < rest.length; i += 2) headers.push([rest[i], rest[i + 1]]);
        return { kind, status: first, headers };
      }
      case "credentials":
        return { kind, ...query([first, ...rest]) };
      case "wait":
        return { kind, until: first, why: rest[0] };
      case "done":
        woke();
        return { kind, status: first, mountDenied: rest[0] };
      default:
        woke();
        return { kind: "failed", error: taken([first, ...rest]) };
    }
  }

  /** Asks whether this address, or a proxy that resolves the name, may be used for the current `connect`. Throws if not. */
  dial(to: string): void {
    call(() => this.#open.dial(to));
  }

  /** Connected to what was dialled last, or with the link of a pooled stream, which is taken. */
  connected(link?: Link): void {
    this.#open.connected(this.#agent.now(), link?.take());
  }

  /** Where to read to: valid until the next call. Empty where no more is wanted. */
  space(): Uint8Array {
    const handle = this.#open;
    handle.space();
    return view(handle.start, handle.len);
  }

  /** So many bytes were read into `space()`; 0 at the end of the stream. */
  filled(n: number): void {
    this.#open.filled(n);
  }

  /** So many bytes of `write` were written. */
  wrote(n: number): void {
    this.#open.wrote(n);
  }

  tookHead(): void {
    this.#open.took_head();
  }

  /** So many bytes of `body` were used. */
  took(n: number): void {
    this.#open.took(n);
  }

  /** Answers `want-body`; `last`: none come behind these. Gives how many were taken: the others are the next call's first. */
  body(content: Uint8Array, last: boolean): number {
    return this.#open.body(content, last);
  }

  /** Answers `want-body` where the body cannot be given. */
  bodyGone(): void {
    this.#open.body_gone();
  }

  /** Answers `credentials`; null: there are none. */
  credentials(found: Found | null): void {
    const [kind, user, secret] = found ? flat(found) : ["none", "", ""];
    this.#open.credentials(this.#agent.now(), kind, user, secret, found?.validUntil);
    woke();
  }

  /** Answers `credentials` where the look-up did not work: one sentence without secrets. */
  helperFailed(why: string): void {
    this.#open.helper_failed(this.#agent.now(), why);
    woke();
  }

  /** Answers `connect`, `write` or `read` with what went wrong. */
  failed(why: Failure): void {
    call(() => this.#open.failed(this.#agent.now(), why));
  }

  /** Answers `close`. */
  closed(): void {
    this.#open.closed();
  }

  /** At `close` and after `done`: what is to be pooled with the stream; undefined: close that. */
  takeLink(): Link | undefined {
    const handle = this.#open.take_link();
    return handle && new Link(handle);
  }

  /** Ends when the exchange is woken, or at `until`. */
  wait(until: number, signal?: AbortSignal | null): Promise<void> {
    return wait(this.#number, until - this.#agent.now(), signal);
  }

  /** The requests that went out so far, in order. */
  sent(): Sent[] {
    const all: Sent[] = [];
    for (;;) {
      const flat = this.#open.sent(all.length);
      if (!flat) return all;
      const [hop, method, url, identity, authorization, reused, status, seen] = flat;
      all.push({
        hop,
        method,
        url,
        reused,
        ...(identity !== undefined && { identity }),
        ...(authorization !== undefined && { authorization }),
        ...(status !== undefined && { status }),
        ...(seen !== undefined && { evidence: evidence(seen) }),
      });
    }
  }

  /** The transcript: every decision so far, without any secret. */
  explain(): string {
    return this.#open.explain();
  }

  /** What a URL in the answer is followed with. */
  referrer(): Referrer {
    return Referrer.of(this.#open.referrer());
  }

  /** Frees it. What it was doing for others passes to one of them. The stream is the host's. */
  close(): void {
    if (!this.#handle) return;
    this.#handle.free();
    this.#handle = undefined;
    closed(this.#number);
  }
}
