/** Who has to act: the caller, the registry, its token service, the network; or the policy refused. */
export type Fault = "local" | "registry" | "token-service" | "network" | "policy";

/** The kind of a request. */
export type Hop = "registry" | "token" | "redirect" | "upload" | "layer" | "token-redirect";

/** How a connection failed. */
export type Failure =
  | "connect"
  | "timeout"
  | "reset"
  | "server-certificate"
  | "certificate-required"
  | "certificate-rejected"
  | "tls"
  | "address-refused";

/** What went wrong, who has to act, and on which hop. No secret is in any of its texts. */
export class RegauthError extends Error {
  override readonly name = "RegauthError";
  readonly fault: Fault;
  /** One word: `refused`, `token-refused`, `network`, `ask`, `denied`, `misuse`, … */
  readonly kind: string;
  readonly hop?: Hop;
  /** The origin of that hop. */
  readonly origin?: string;
  /** One sentence: what happened. */
  readonly what: string;
  /** One sentence: what to do about it. */
  readonly remedy: string;
  /** Of kind `network` and `tls`. */
  readonly failure?: Failure;
  /** The status of the answer that was the cause. */
  readonly status?: number;
  /** What became of client authentication, where the error has to do with it. */
  readonly certificates?: string;
  /** Of kind `token-later`: when to try again, in Unix milliseconds. */
  readonly retryAt?: number;
  /** Of kind `ask`: the configuration line that would allow it. */
  readonly line?: string;

  constructor(fields: Pick<RegauthError, "fault" | "kind" | "what" | "remedy"> & Partial<RegauthError>, cause?: unknown) {
    // The core's sentences about a refusal name the configuration file's line, which ends without a full stop.
    super(`${fields.what}. ${fields.remedy}`, cause === undefined ? undefined : { cause });
    this.fault = fields.fault;
    this.kind = fields.kind;
    this.what = fields.what;
    this.remedy = fields.remedy;
    for (const name of ["hop", "origin", "failure", "status", "certificates", "retryAt", "line"] as const) {
      if (fields[name] !== undefined) Object.assign(this, { [name]: fields[name] });
    }
  }
}

/** @internal An error out of its fields, as they come out of the module. */
export function taken(fields: readonly unknown[], cause?: unknown): RegauthError {
  const [fault, kind, what, remedy, hop, origin, failure, status, certificates, retryAt, line] = fields;
  const all = { fault, kind, what, remedy, hop, origin, failure, status, certificates, retryAt, line };
  return new RegauthError(all as RegauthError, cause);
}

/** Makes a call, and an error of the module a `RegauthError`. */
export function call<T>(make: () => T): T {
  try {
    return make();
  } catch (failed) {
    throw Array.isArray(failed) ? taken(failed) : failed;
  }
}

/** A wrong argument that the types do not rule out. */
export function input(what: string, remedy: string): RegauthError {
  return new RegauthError({ fault: "local", kind: "input", what, remedy });
}

/** What a host may lack. */
export type Capability = "client-certificate" | "redirect" | "socket" | "subprocess";

/** This host cannot do what the configuration asks for. Nothing was sent in a weaker way instead. */
export class CapabilityError extends Error {
  override readonly name = "RegauthCapabilityError";
  readonly capability: Capability;

  constructor(capability: Capability, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.capability = capability;
  }
}

/** An object was used after its `close()`. */
export class ClosedError extends Error {
  override readonly name = "RegauthClosedError";

  constructor(what: string) {
    super(`this ${what} is closed. Make a new one.`);
  }
}

/** The handle of an open object. */
export function open<T>(handle: T | undefined, what: string): T {
  if (handle === undefined) throw new ClosedError(what);
  return handle;
}
