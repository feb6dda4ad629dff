import * as glue from "#glue";
import type { Agent, RequestOptions } from "./agent.js";
import { type Credentials, flat } from "./config.js";
import { type Failure, type Hop, type RegauthError, call, open, taken } from "./errors.js";
import { closed, wait, woke } from "./wake.js";

/** What to look up. */
export interface Query {
  /** The registry's origin. */
  registry: string;
  /** The helper to run, `docker-credential-NAME get` with the URL on its standard input, where one is configured. */
  helper?: { name: string; url: string };
}

/** What a look-up found. `validUntil` is in Unix milliseconds; without it they are kept until they are refused. */
export type Found = Credentials & { validUntil?: number };

/** What to send, exactly so. The application's own fields go beside these, never an Authorization or Cookie of its own. */
export interface Send {
  kind: "send";
  hop: Hop;
  /** The TLS profile to connect with, and the pool to take a connection from. */
  profile: number;
  /** The labels of the identities in that profile, if it has any. */
  identity?: string;
  method: string;
  url: string;
  /** Values are never to be logged. */
  headers: [name: string, value: string][];
  /** `app`: the application's, if it has one; `again`: it was asked for before. */
  body: "none" | "app" | "again" | { form: string };
  /** How many bytes of the answer's body are wanted, decoded, and one more; undefined: its head will do. */
  atMost?: number;
}

/** What to do next. */
export type Step =
  | Send
  | ({ kind: "credentials" } & Query)
  /** Poll again when woken, or at `until` (Unix milliseconds): `Flow.wait`. */
  | { kind: "wait"; until: number; why: "token" | "skew" | "retry-after" | "back-off" }
  /** The last answer is the application's. */
  | { kind: "done"; status: number; mountDenied: boolean }
  | { kind: "failed"; error: RegauthError };

/** A server's answer. */
export interface Answer {
  status: number;
  headers: Iterable<[string, string]>;
  body?: Uint8Array;
  /** The effective URL, where the host's client followed redirects by itself. */
  url?: string;
}

const NOTHING = new Uint8Array(0);

/** The query in what the module gives. */
export function query([registry, name, url]: (string | undefined)[]): Query {
  return { registry: registry as string, ...(name !== undefined && { helper: { name, url: url as string } }) };
}

/**
 * One request, from the first attempt to the answer that is the application's. `poll` says what to do; do it, and give
 * the result back by the call that the step names. Close it: that gives its duties to those who wait.
 */
export class Flow {
  #agent: Agent;
  #handle: glue.Flow | undefined;
  #number: number;

  private constructor(agent: Agent, handle: glue.Flow) {
    this.#agent = agent;
    this.#handle = handle;
    this.#number = handle.number;
  }

  /** @internal */
  static of(agent: Agent, handle: glue.Flow, options: RequestOptions): Flow {
    const flow = new Flow(agent, handle);
    try {
      for (const scope of options.scopes ?? []) call(() => handle.scope(scope));
      if (options.redirects === "host") handle.redirects_by_host();
      return flow;
    } catch (error) {
      flow.close();
      throw error;
    }
  }

  get #open(): glue.Flow {
    return open(this.#handle, "Flow");
  }

  /** @internal Gives the handle away. */
  take(): glue.Flow {
    const handle = this.#open;
    this.#handle = undefined;
    return handle;
  }

  /** What to do next. Idempotent: the same comes until it is answered. */
  poll(): Step {
    const [kind, ...rest] = this.#open.poll(this.#agent.now());
    switch (kind) {
      case "send":
        return send(rest);
      case "credentials":
        return { kind, ...query(rest) };
      case "wait":
        return { kind, until: rest[0], why: rest[1] };
      case "failed":
        woke();
        return { kind, error: taken(rest) };
      default:
        woke();
        return { kind: "done", status: rest[0], mountDenied: rest[1] };
    }
  }

  /**
   * Asks whether this address may be used for the request of the current step, or `"proxied"` where somebody else
   * resolves the name. Throws the refusal; then skip the address, and when none is left: `failed("address-refused")`.
   */
  dial(to: string): void {
    call(() => this.#open.dial(to));
  }

  /** Answers `send`. */
  answer({ status, headers, body = NOTHING, url }: Answer): void {
    call(() => this.#open.answer(this.#agent.now(), status, [...headers].flat(), body, url));
    woke();
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

  /** Answers `send` where no answer came. */
  failed(why: Failure): void {
    call(() => this.#open.failed(this.#agent.now(), why));
    woke();
  }

  /** Ends when the flow is woken, or at `until`. */
  wait(until: number, signal?: AbortSignal | null): Promise<void> {
    return wait(this.#number, until - this.#agent.now(), signal);
  }

  /** The transcript: every decision so far, without any secret. */
  explain(): string {
    return this.#open.explain();
  }

  /** What a URL in the answer is followed with. */
  referrer(): Referrer {
    return Referrer.of(open(this.#open.referrer(), "Flow"));
  }

  /** Frees it. What it was doing for others passes to one of them. */
  close(): void {
    if (!this.#handle) return;
    this.#handle.free();
    this.#handle = undefined;
    closed(this.#number);
  }
}

function send(flat: unknown[]): Send {
  const [hop, profile, identity, method, url, kind, form, atMost, ...fields] = flat;
  const headers: [string, string][] = [];
  for (let i = 0; i < fields.length; i += 2) headers.push([fields[i] as string, fields[i + 1] as string]);
  return {
    kind: "send",
    hop: hop as Hop,
    profile: profile as number,
    ...(identity !== undefined && { identity: identity as string }),
    method: method as string,
    url: url as string,
    headers,
    body: kind === "form" ? { form: form as string } : (kind as "none" | "app" | "again"),
    ...(atMost !== undefined && { atMost: atMost as number }),
  };
}

/** Where a URL came from: the anchor of the request that was answered, and where that had been. */
export class Referrer {
  #handle: glue.Referrer | undefined;

  private constructor(handle: glue.Referrer) {
    this.#handle = handle;
  }

  /** A registry, for a URL whose answer is not at hand any more: a layer URL out of a stored manifest. */
  static registry(origin: string): Referrer {
    return new Referrer(call(() => glue.Referrer.registry(origin)));
  }

  /** @internal */
  static of(handle: glue.Referrer): Referrer {
    return new Referrer(handle);
  }

  /** @internal */
  get handle(): glue.Referrer {
    return open(this.#handle, "Referrer");
  }

  close(): void {
    this.#handle?.free();
    this.#handle = undefined;
  }
}
