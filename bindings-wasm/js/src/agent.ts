import * as glue from "#glue";
import { type AgentConfig, Configuration } from "./config.js";
import { type Hop, call, open } from "./errors.js";
import { Flow, Referrer } from "./flow.js";
import { view } from "./module.js";

/** What an endpoint can be asked for. */
export type Want = "pull" | "resolve" | "push" | "referrers";

/** Where an image is asked for. */
export interface Endpoint {
  /** The anchor of its requests. */
  origin: string;
  /** The path of the API: `/v2`, unless the configuration overrides it. */
  root: string;
  repository: string;
  /** The registry that a mirror stands for, for the query parameter `ns`. */
  ns?: string;
  mirror: boolean;
  profile: number;
  /** The file and key that it comes from. */
  provenance?: string;
  capabilities: Want[];
  /** The URL of something in the repository: `manifests/latest`, `blobs/sha256:…`. */
  url(rest: string): string;
}

export interface AgentOptions {
  /** The clock: Unix milliseconds. */
  now?: () => number;
}

/** What a profile is made of, for hosts with a TLS of their own. */
export interface ProfileInfo {
  /** The labels of its identities. */
  identities: string[];
  skipVerify: boolean;
}

export interface RequestOptions {
  /** Scopes that will be needed, after those of the request and of the challenge. */
  scopes?: string[];
  /** Who follows redirects of the registry's answers; `host`: they are `done`, and each further hop is `referred`. */
  redirects?: "core" | "host";
}

const NEW = 0x100;
const encoder = new TextEncoder();

/** What the flows of one program share: configuration, tokens, remembered challenges. */
export class Agent {
  #handle: glue.Agent | undefined;
  #values: string[] = [];
  /** Where the module reads a method, and after it a URL; the method that stands there, and its bytes. */
  #line: Uint8Array = new Uint8Array(0);
  #url = this.#line;
  #method = "";
  #length = 0;
  /** The clock: Unix milliseconds. */
  readonly now: () => number;

  constructor(config: AgentConfig | Configuration = {}, options: AgentOptions = {}) {
    this.now = options.now ?? Date.now;
    this.#handle = withConfiguration(config, (handle) => new glue.Agent(handle));
  }

  /** @internal */
  get handle(): glue.Agent {
    return open(this.#handle, "Agent");
  }

  /** Replaces the configuration: new certificates, new passwords. A flow keeps the one it began with. */
  replace(config: AgentConfig | Configuration): void {
    withConfiguration(config, (handle) => this.handle.replace(handle));
  }

  /** A flow for one request, anchored at the origin of its URL. */
  request(method: string, url: string, options: RequestOptions = {}): Flow {
    return Flow.of(this, call(() => this.handle.request(method, url)), options);
  }

  /** A flow for a URL that a server named: an upload location, a page of a list, a layer URL, a redirect. */
  referred(by: Referrer, hop: Hop, method: string, url: string, options: RequestOptions = {}): Flow {
    return Flow.of(this, call(() => this.handle.referred(by.handle, hop, method, url)), options);
  }

  /** The warm path: the whole `Authorization` value, where nothing needs to be asked. Undefined: make a flow. */
  authorize(method: string, url: string): string | undefined {
    const handle = this.#handle ?? this.handle;
    // A memory that has grown leaves an empty view behind.
    if (this.#line.length === 0 || method !== this.#method) this.#begin(handle, method);
    const { read, written } = encoder.encodeInto(url, this.#url);
    const found = read === url.length ? handle.authorize(this.now(), this.#length, written) : 0;
    if (found === 0) return undefined;
    if (found & NEW) {
      const place = (found & ~NEW) - 1;
      return (this.#values[place] = handle.authorization(place) ?? "");
    }
    return this.#values[found - 1];
  }

  #begin(handle: glue.Agent, method: string): void {
    this.#line = view(handle.line, handle.room);
    this.#length = encoder.encodeInto(method, this.#line).written;
    this.#url = this.#line.subarray(this.#length);
    this.#method = method;
  }

  /** A flow that renews a token which is in use and in the last fifth of its life. Ask until there is none, once a second. */
  due(): Flow | undefined {
    const handle = this.handle.due(this.now());
    return handle && Flow.of(this, handle, {});
  }

  /** What a profile is made of, as long as a flow that was given it lives. */
  profile(id: number): ProfileInfo | undefined {
    const flat = this.handle.profile(id) as [boolean, ...string[]] | undefined;
    return flat && { skipVerify: flat[0], identities: flat.slice(1) as string[] };
  }

  /** Where to ask for an image, in order: the mirrors that can do it, then the registry. */
  endpoints(image: string, want: Want): Endpoint[] {
    const flat = call(() => this.handle.endpoints(image, want));
    const endpoints: Endpoint[] = [];
    for (let i = 0; i < flat.length; i += 8) {
      const [origin, root, repository, ns, mirror, profile, provenance, can] = flat.slice(i, i + 8);
      const url = (rest: string) =>
        `${origin}${root}/${repository}/${rest}${ns === undefined ? "" : `${rest.includes("?") ? "&" : "?"}ns=${ns}`}`;
      const capabilities = (can as string).split(",") as Want[];
      endpoints.push({ origin, root, repository, ns, mirror, profile, provenance, capabilities, url });
    }
    return endpoints;
  }

  /** Frees it; flows go on. */
  close(): void {
    this.#handle?.free();
    this.#handle = undefined;
    this.#values = [];
    this.#line = this.#url = new Uint8Array(0);
  }
}

function withConfiguration<T>(config: AgentConfig | Configuration, use: (handle: glue.Config) => T): T {
  const own = config instanceof Configuration ? undefined : new Configuration(config);
  try {
    return call(() => use((own ?? (config as Configuration)).handle));
  } finally {
    own?.close();
  }
}
