/**
 * Short-lived certificates: a CA in memory, server and client certificates, and all that one buildkitd needs.
 *
 * Time and entropy are arguments: the same ones give the same bytes, here and in the other languages.
 *
 * @module
 */
import * as glue from "#mint";

export { PanicError } from "./module.js";

/** A life of certificates. */
export interface Life {
  /** Seconds; a CA's is a day at most. */
  ttl: number;
  /** When it begins, in Unix milliseconds: now, without this. */
  now?: number;
  /** 32 random bytes, for this call alone: those of the system, without this. */
  entropy?: Uint8Array;
}

/** A certificate and its key. JavaScript cannot wipe the string of the key. */
export interface Issued {
  /** PEM. */
  certificate: string;
  /** PEM, PKCS#8. */
  key: string;
  /** When it ends, in Unix milliseconds. */
  notAfter: number;
}

/** The files of one buildkitd and its clients: write them with mode 0600 into a directory with mode 0700. */
export interface Bundle {
  files: { name: string; pem: string }[];
  /** When the CA and with it all of them end, in Unix milliseconds. */
  notAfter: number;
  /** The commands that use them, each with what it is for. */
  commands: { what: string; command: string }[];
}

export interface BuildkitdOptions extends Life {
  /** Host names and IP addresses that clients connect to. */
  names: string[];
  /** Goes into the client's certificate, such as a SPIFFE id. */
  uri?: string;
  /** Where the files will be, as an absolute path, for the commands. */
  directory: string;
  /** What buildkitd listens on: 1234 without this. */
  port?: number;
}

function random(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

function issued([certificate, key, notAfter]: [string, string, number]): Issued {
  return { certificate, key, notAfter };
}

/** A CA whose key is in memory only. Close it when the last certificate is issued. */
export class Ca {
  #handle: glue.Ca | undefined;

  constructor(name: string, { ttl, now = Date.now(), entropy = random() }: Life) {
    this.#handle = new glue.Ca(now, ttl, name, entropy);
  }

  get #open(): glue.Ca {
    if (!this.#handle) throw new Error("this Ca is closed. Make a new one.");
    return this.#handle;
  }

  /** PEM. */
  get certificate(): string {
    return this.#open.certificate();
  }

  /** Unix milliseconds. */
  get notAfter(): number {
    return this.#open.not_after();
  }

  /** For host names and IP addresses. */
  server(names: string[], { ttl, now = Date.now(), entropy = random() }: Life): Issued {
    return issued(this.#open.server(names, now, ttl, entropy) as [string, string, number]);
  }

  /** With a common name, and a URI such as a SPIFFE id. */
  client(label: string, { ttl, now = Date.now(), entropy = random(), uri }: Life & { uri?: string }): Issued {
    return issued(this.#open.client(label, uri, now, ttl, entropy) as [string, string, number]);
  }

  close(): void {
    this.#handle?.free();
    this.#handle = undefined;
  }
}

/** A CA, a server's, a client's and a health check's certificate, and the commands that use them. The CA's key is gone. */
export function buildkitd(options: BuildkitdOptions): Bundle {
  const { names, uri, ttl, now = Date.now(), entropy = random(), directory, port = 1234 } = options;
  const [notAfter, count, ...flat] = glue.buildkitd(names, uri, now, ttl, entropy, directory, port);
  const pairs: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
  return {
    files: pairs.slice(0, count).map(([name, pem]) => ({ name, pem })),
    notAfter,
    commands: pairs.slice(count).map(([what, command]) => ({ what, command })),
  };
}
