import * as glue from "#glue";
import { CapabilityError, call, input, open } from "./errors.js";

/** What a registry is told about the user. */
export type Credentials =
  | { username: string; password: string }
  /** Docker's `identitytoken`: goes to the token endpoint by POST, and nowhere else. */
  | { refreshToken: string }
  /** Docker's `registrytoken`: sent as it is. */
  | { bearerToken: string };

/** A client certificate. */
export type Identity =
  /** PEM, leaf first, and its key, not encrypted. Only with `regauth/tls`: the other entries have no TLS. */
  | { certificate: string | Uint8Array; key: string | Uint8Array; label?: string }
  /**
   * A name for what the host's own TLS shows: `authFetch` asks its `profile` for it. `fingerprint` is the SHA-256 of the
   * certificate, so that the tokens of one are not used with the next.
   */
  | { label: string; fingerprint?: Uint8Array };

/** Certificate authorities; what is given is added up. */
export interface Roots {
  /** The compiled-in ones of `webpki-roots`; only `regauth/tls` has them. */
  webpki?: boolean;
  /** PEM, each of one or more certificates. */
  pem?: string[];
}

/** The host configuration of an origin. */
export interface HostConfig {
  /** In the order in which they are tried. */
  identities?: Identity[];
  /** Header fields for every request to this origin as registry, mirror or paired host; never Authorization. */
  headers?: Record<string, string>;
  roots?: Roots;
  /** ALPN protocol names; none: the extension is not sent. */
  alpn?: string[];
  /** Show the first identity whatever issuers the server names. */
  force?: boolean;
  /** After a TLS rejection try the next identity. */
  tryPairs?: boolean;
  /** The same after 403, 404 and 5xx. */
  tryPairsOnStatus?: boolean;
  /** Do not check the server's certificate. No password leaves with it, unless `passwordUnverified`. */
  skipVerify?: boolean;
  passwordOverHttp?: boolean;
  passwordUnverified?: boolean;
  /** Leave to be at an address that is more local than the registry's. */
  local?: boolean;
  /** Of the default host only: leave for its identity to be shown to every registry. */
  wildcardIdentity?: boolean;
}

/** A registry, and one other origin that belongs to it. */
export type Pair = { registry: string; identity?: boolean; local?: boolean } & (
  | { token: string; storage?: undefined }
  | { storage: string; token?: undefined }
);

/** What an agent is told. Keys of `hosts` and `credentials` are URLs such as `https://reg.example:5000`. */
export interface AgentConfig {
  hosts?: Record<string, HostConfig>;
  /** For registries without an entry of their own: roots and headers, an identity only by `wildcardIdentity`. */
  defaultHost?: HostConfig;
  /** For origins whose entry has none; the compiled-in ones without this. */
  roots?: Roots;
  pairs?: Pair[];
  /** `"ask"`: they are looked up when they are needed. */
  credentials?: Record<string, Credentials | "ask">;
  /** Look up the credentials of every registry that has none here. */
  ask?: boolean;
  /** `any-https`: credentials go to any https realm, never an identity. */
  mode?: "strict" | "any-https";
  /** Passwords go to token endpoints by POST first. */
  passwordPost?: boolean;
  /** Ask token endpoints for a refresh token. */
  offlineToken?: boolean;
}

const FLAGS = {
  force: "force",
  tryPairs: "try_pairs",
  tryPairsOnStatus: "try_pairs_on_status",
  skipVerify: "skip_verify",
  passwordOverHttp: "password_over_http",
  passwordUnverified: "password_unverified",
  local: "local",
  wildcardIdentity: "wildcard_identity",
} as const;

const encoder = new TextEncoder();

/** Text as UTF-8. */
export function encode(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? encoder.encode(text) : text;
}

function addIdentity(host: glue.Host, identity: Identity): void {
  if (!("certificate" in identity)) {
    host.named(identity.label, identity.fingerprint ?? new Uint8Array(32));
  } else if (typeof host.pem === "function") {
    host.pem(identity.label ?? "client certificate", encode(identity.certificate), encode(identity.key));
  } else {
    throw new CapabilityError(
      "client-certificate",
      "this entry has no TLS and cannot use a key. Import regauth/tls, or give the identity a label and let `profile` of authFetch present it.",
    );
  }
}

/** @internal Lends a host entry of the module. */
export function withHost<T>(config: HostConfig, use: (host: glue.Host) => T): T {
  const host = new glue.Host();
  try {
    for (const identity of config.identities ?? []) call(() => addIdentity(host, identity));
    for (const [name, value] of Object.entries(config.headers ?? {})) call(() => host.header(name, value));
    for (const name of config.alpn ?? []) host.alpn(name);
    if (config.roots) host.roots(config.roots.webpki ?? false, config.roots.pem ?? []);
    for (const [name, flag] of Object.entries(FLAGS)) if (config[name as keyof typeof FLAGS]) host.set(flag);
    return call(() => use(host));
  } finally {
    host.free();
  }
}

/** Credentials as the module takes them: kind, user, secret. */
export function flat(credentials: Credentials): [kind: string, user: string, secret: string] {
  if ("username" in credentials) return ["basic", credentials.username, credentials.password];
  if ("refreshToken" in credentials) return ["refresh", "", credentials.refreshToken];
  if ("bearerToken" in credentials) return ["bearer", "", credentials.bearerToken];
  throw input("these are no credentials", "Give username and password, refreshToken, or bearerToken.");
}

/** A configuration of which agents are made: an imported one, to which more can be added. */
export class Configuration {
  #handle: glue.Config | undefined;

  constructor(config: AgentConfig = {}) {
    this.#handle = new glue.Config();
    this.add(config);
  }

  /** @internal */
  static of(handle: glue.Config): Configuration {
    const configuration = new Configuration();
    configuration.#handle?.free();
    configuration.#handle = handle;
    return configuration;
  }

  /** @internal */
  get handle(): glue.Config {
    return open(this.#handle, "Configuration");
  }

  /** Adds to it; a host entry takes the place of an earlier one of its origin. */
  add(config: AgentConfig): this {
    const handle = this.handle;
    for (const [origin, host] of Object.entries(config.hosts ?? {})) withHost(host, (entry) => handle.host(origin, entry));
    if (config.defaultHost) withHost(config.defaultHost, (entry) => handle.host(undefined, entry));
    if (config.roots) handle.roots(config.roots.webpki ?? false, config.roots.pem ?? []);
    for (const pair of config.pairs ?? []) {
      const other = pair.storage ?? pair.token;
      if (other === undefined) throw input("a pair names no other origin", "Give token or storage.");
      const storage = pair.storage !== undefined;
      call(() => handle.pair(pair.registry, storage, other, pair.identity ?? false, pair.local ?? false));
    }
    for (const [registry, credentials] of Object.entries(config.credentials ?? {})) {
      if (credentials === "ask") call(() => handle.ask(registry));
      else call(() => handle.credentials(registry, ...flat(credentials)));
    }
    if (config.ask) handle.ask(undefined);
    if (config.mode === "any-https") handle.option("any-https");
    if (config.passwordPost) handle.option("password-post");
    if (config.offlineToken) handle.option("offline-token");
    return this;
  }

  close(): void {
    this.#handle?.free();
    this.#handle = undefined;
  }
}
