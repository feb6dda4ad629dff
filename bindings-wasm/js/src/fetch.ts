import type { Agent, RequestOptions } from "./agent.js";
import { CapabilityError, type Failure, type Hop, RegauthError, input } from "./errors.js";
import type { Flow, Found, Query, Send } from "./flow.js";
import { type Dns, hostModule } from "./host.js";

/** What a request needs of the host's TLS. */
export interface Presented {
  /** The TLS profile, and the pool to take a connection from. */
  profile: number;
  /** The labels of the identities to present; undefined: present none. */
  identity?: string;
  /** The server's certificate is not to be checked. */
  skipVerify: boolean;
  hop: Hop;
  url: string;
}

/** How the host does that: fields for `fetch` (Node: `dispatcher`, Deno: `client`), or another `fetch` (a Workers binding). */
export interface Presenter {
  fetch?: typeof globalThis.fetch;
  init?: object;
}

export interface AuthFetchOptions {
  /** The host's; the global one without this. */
  fetch?: typeof globalThis.fetch;
  /** Looks credentials up; null: there are none. Throw one sentence without secrets where that did not work. */
  credentials?: (query: Query) => Promise<Found | null> | Found | null;
  /**
   * Says how a request is made by the host's TLS. Where it gives undefined for a request that has to present an identity,
   * that request fails with a `CapabilityError`: it never goes out without.
   */
  profile?: (wanted: Presented) => Presenter | undefined;
  /**
   * The addresses of a host name: each must be allowed for the hop. Node and Deno resolve by themselves; elsewhere, as with
   * a proxy, only https to public names goes. `fetch` resolves once more: to use exactly the address that was looked at,
   * take `exchangeFetch` of `regauth/tls`.
   */
  resolve?: (host: string) => Promise<string[]>;
  /** Gets the transcript of each request when it is over. */
  explain?: (transcript: string) => void;
}

export interface AuthRequestInit extends RequestInit, Pick<RequestOptions, "scopes"> {}

/** `fetch`, with everything between the request and the application's answer done by the agent. */
export type AuthFetch = (url: string | URL, init?: AuthRequestInit) => Promise<Response>;

/** A `fetch` that authenticates. Redirects are followed by the agent, which decides what each hop may carry. */
export function authFetch(agent: Agent, options: AuthFetchOptions = {}): AuthFetch {
  return async (url, init = {}) => {
    const flow = agent.request(init.method?.toUpperCase() ?? "GET", String(url), { scopes: init.scopes ?? [] });
    try {
      return await run(agent, flow, options, init);
    } finally {
      options.explain?.(flow.explain());
      flow.close();
    }
  };
}

async function run(agent: Agent, flow: Flow, options: AuthFetchOptions, init: AuthRequestInit): Promise<Response> {
  const own = ownHeaders(init);
  let response: Response | undefined;
  let cause: unknown;
  for (;;) {
    init.signal?.throwIfAborted();
    const step = flow.poll();
    switch (step.kind) {
      case "send": {
        // What the flow went on from is nobody's answer: give its connection back.
        await response?.body?.cancel().catch(() => undefined);
        response = undefined;
        if (!(await allowed(flow, step, options))) break;
        try {
          response = await send(agent, step, own, options, init);
        } catch (error) {
          if (error instanceof CapabilityError || error instanceof RegauthError || init.signal?.aborted) throw error;
          cause = error;
          flow.failed(failure(error));
          break;
        }
        const body = step.atMost === undefined ? undefined : await upTo(response, step.atMost + 1);
        const headers = response.headers;
        flow.answer({
          status: response.status,
          headers,
          ...(body && { body }),
          ...(response.redirected && { url: response.url }),
        });
        break;
      }
      case "credentials":
        await lookUp(flow, step, options);
        break;
      case "wait":
        await flow.wait(step.until, init.signal);
        break;
      case "failed":
        throw cause === undefined ? step.error : new RegauthError(step.error, cause);
      case "done":
        return response as Response;
    }
  }
}

/** Answers a look-up. */
export async function lookUp(
  to: { credentials(found: Found | null): void; helperFailed(why: string): void },
  { registry, helper }: Query,
  options: Pick<AuthFetchOptions, "credentials">,
): Promise<void> {
  const query: Query = { registry, ...(helper && { helper }) };
  if (!options.credentials) {
    // A helper that is configured and not run is not the same as none.
    if (helper) to.helperFailed(`docker-credential-${helper.name} is configured and no \`credentials\` function runs it`);
    else to.credentials(null);
    return;
  }
  try {
    to.credentials(await options.credentials(query));
  } catch (error) {
    to.helperFailed(error instanceof Error ? error.message : String(error));
  }
}

const NOT_OURS = ["authorization", "proxy-authorization", "cookie"];

function ownHeaders(init: AuthRequestInit): Headers {
  const own = new Headers(init.headers);
  for (const name of NOT_OURS) {
    if (own.has(name)) {
      throw input(`the header field ${name} is not the application's to set`, "Configure credentials in the agent.");
    }
  }
  return own;
}

function send(agent: Agent, step: Send, own: Headers, options: AuthFetchOptions, init: AuthRequestInit): Promise<Response> {
  const { headers: _, scopes: __, ...rest } = init;
  const app = step.hop !== "token" && step.hop !== "token-redirect";
  const headers = new Headers(app ? own : undefined);
  for (const [name, value] of step.headers) headers.set(name, value);
  let body: BodyInit | null = null;
  if (typeof step.body === "object") {
    body = step.body.form;
  } else if (step.body !== "none" && init.body !== undefined && init.body !== null) {
    if (step.body === "again" && init.body instanceof ReadableStream) {
      throw new RegauthError({
        fault: "local",
        kind: "body-gone",
        hop: step.hop,
        what: "the request has to be sent again and its body cannot be read twice",
        remedy: "Send the body from something that can be rewound, or ask for a token first.",
      });
    }
    body = init.body;
  }
  const presenter = present(agent, step, options);
  const fetch = presenter?.fetch ?? options.fetch ?? globalThis.fetch;
  const streams = body instanceof ReadableStream ? { duplex: "half" } : {};
  const whole = { ...rest, ...streams, ...presenter?.init, method: step.method, headers, body, redirect: "manual" };
  return fetch(step.url, whole as RequestInit).then((response) => {
    if (response.type === "opaqueredirect") {
      throw new CapabilityError(
        "redirect",
        `the fetch of this host does not show where ${new URL(step.url).origin} redirects to, so that it cannot be decided what the next hop may carry. Give a fetch that does, or use regauth/tls.`,
      );
    }
    return response;
  });
}

function present(agent: Agent, step: Send, options: AuthFetchOptions): Presenter | undefined {
  const { profile, identity, hop, url } = step;
  const skipVerify = agent.profile(profile)?.skipVerify ?? false;
  const presenter = options.profile?.({ profile, ...(identity !== undefined && { identity }), skipVerify, hop, url });
  if (identity !== undefined && !presenter) {
    throw new CapabilityError(
      "client-certificate",
      `the ${hop} request to ${new URL(url).origin} has to present the client certificate ${identity}, and fetch cannot. Give authFetch a \`profile\` that does, or use regauth/tls.`,
    );
  }
  return presenter;
}

/** Whether there is an address that the hop may use; where there is none the flow was told. */
async function allowed(flow: Flow, step: Send, options: AuthFetchOptions): Promise<boolean> {
  const host = new URL(step.url).hostname.replace(/^\[(.*)\]$/, "$1");
  let addresses: string[];
  if (/^[\d.]+$/.test(host) || host.includes(":")) {
    addresses = [host];
  } else {
    const resolve = options.resolve ?? (await system());
    try {
      addresses = resolve ? await resolve(host) : ["proxied"];
    } catch {
      flow.failed("connect");
      return false;
    }
  }
  let refusal: unknown;
  for (const address of addresses) {
    try {
      flow.dial(address);
      return true;
    } catch (error) {
      refusal = error;
    }
  }
  if (refusal instanceof RegauthError && refusal.kind !== "address") throw refusal;
  flow.failed(addresses.length === 0 ? "connect" : "address-refused");
  return false;
}

let resolver: Promise<((host: string) => Promise<string[]>) | undefined> | undefined;

/** The resolver of Node or Deno. */
function system(): Promise<((host: string) => Promise<string[]>) | undefined> {
  resolver ??= hostModule<Dns>("node:dns/promises").then(
    ({ lookup }) => lookup && (async (host: string) => (await lookup(host, { all: true })).map(({ address }) => address)),
    () => undefined,
  );
  return resolver;
}

/** At most so many bytes of a body. */
async function upTo(response: Response, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  while (reader && length < most) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  await reader?.cancel().catch(() => undefined);
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.subarray(0, most);
}

/** The word for what `fetch` threw, by the codes of Node's sockets and of OpenSSL. */
function failure(error: unknown): Failure {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    codes.push(String((at as { code?: unknown }).code ?? ""), at.name);
    for (const inner of (at as { errors?: { code?: unknown }[] }).errors ?? []) codes.push(String(inner.code ?? ""));
  }
  const has = (pattern: RegExp) => codes.some((code) => pattern.test(code));
  if (has(/ALERT_CERTIFICATE_REQUIRED/)) return "certificate-required";
  if (has(/ALERT_(HANDSHAKE_FAILURE|BAD_CERTIFICATE|CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED)/)) {
    return "certificate-rejected";
  }
  if (has(/^(CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS_CERT|INVALID_CA|HOSTNAME_MISMATCH)/)) return "server-certificate";
  if (has(/^(ERR_SSL|ERR_TLS|EPROTO)/)) return "tls";
  if (has(/TIMEOUT|ETIMEDOUT|TimeoutError/)) return "timeout";
  if (has(/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL/)) return "connect";
  if (has(/ECONNRESET|EPIPE|UND_ERR_SOCKET/)) return "reset";
  return "connect";
}
