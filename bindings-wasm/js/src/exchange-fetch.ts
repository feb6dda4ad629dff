import type { Agent, RequestOptions } from "./agent.js";
import { CapabilityError, type Failure, RegauthError } from "./errors.js";
import { Exchange, type Link, type Sent, type Target } from "./exchange.js";
import { type AuthFetchOptions, lookUp } from "./fetch.js";
import { type Dns, type Net, hostModule } from "./host.js";
import { type Duplex, Stream } from "./stream.js";

/** Where to connect to, and whether the policy lets it. */
export interface ConnectTarget extends Target {
  /** Asks whether this address may be used, or `"proxied"`. Throws if not. The last that was allowed is the one to use. */
  dial(to: string): void;
}

export interface ExchangeFetchOptions extends Pick<AuthFetchOptions, "credentials" | "explain"> {
  /**
   * Gives a connected byte stream: ask `dial` for the address, then connect to exactly that one. Without this: TCP by
   * `node:net`, names resolved by the system.
   */
  connect?: (to: ConnectTarget, signal?: AbortSignal | null) => Promise<Duplex>;
  /** The most idle connections that are kept, for all origins together: 16 without this. */
  idle?: number;
  /** Milliseconds after which an idle connection is closed: 30,000 without this. */
  idleTimeout?: number;
  /** Milliseconds to wait for the next bytes of an answer: 60,000 without this. */
  readTimeout?: number;
}

export interface ExchangeRequestInit extends Pick<RequestOptions, "scopes"> {
  method?: string;
  headers?: HeadersInit;
  /** Bytes and text have a length and can be sent again; a stream goes out in chunks, once. */
  body?: string | Uint8Array | ReadableStream<Uint8Array> | null;
  signal?: AbortSignal | null;
}

/** A response of `exchangeFetch`. */
export interface ExchangeResponse extends Response {
  /** The requests that went out for it: token requests and redirects included. */
  readonly sent: Sent[];
}

export interface ExchangeFetch {
  (url: string | URL, init?: ExchangeRequestInit): Promise<ExchangeResponse>;
  /** Closes idle connections. */
  close(): void;
}

interface Idle {
  stream: Stream;
  link: Link;
  timer: ReturnType<typeof setTimeout>;
}

/** Connections that wait for their next request. */
class Pool {
  #idle = new Map<string, Idle[]>();
  #count = 0;
  #closed = false;

  constructor(
    readonly most: number,
    readonly timeout: number,
  ) {}

  put(stream: Stream, link: Link): void {
    const list = this.#idle.get(link.key) ?? [];
    if (this.#closed || this.#count >= this.most || !stream.idle) {
      link.close();
      return stream.destroy();
    }
    const timer = setTimeout(() => {
      const at = list.indexOf(entry);
      if (at >= 0) this.#drop(list, at);
    }, this.timeout);
    // An idle connection keeps no program alive.
    (timer as { unref?: () => void }).unref?.();
    const entry = { stream, link, timer };
    list.push(entry);
    this.#idle.set(link.key, list);
    this.#count++;
  }

  #drop(list: Idle[], at: number): void {
    const [entry] = list.splice(at, 1);
    if (!entry) return;
    this.#count--;
    clearTimeout(entry.timer);
    entry.link.close();
    entry.stream.destroy();
  }

  take(keys: string[]): { stream: Stream; link: Link } | undefined {
    for (const key of keys) {
      const list = this.#idle.get(key) ?? [];
      for (let entry = list.pop(); entry; entry = list.pop()) {
        this.#count--;
        clearTimeout(entry.timer);
        if (entry.stream.idle) return entry;
        entry.link.close();
        entry.stream.destroy();
      }
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
    for (const list of this.#idle.values()) while (list.length > 0) this.#drop(list, 0);
  }
}

/**
 * A `fetch` over byte streams, with TLS and client certificates from the module: the whole exchange is the agent's. Close
 * it when it is not needed any more.
 */
export function exchangeFetch(agent: Agent, options: ExchangeFetchOptions = {}): ExchangeFetch {
  const pool = new Pool(options.idle ?? 16, options.idleTimeout ?? 30_000);
  const fetch = async (url: string | URL, init: ExchangeRequestInit = {}) => {
    const run = new Run(agent, pool, options, String(url), init);
    try {
      return await run.head();
    } catch (error) {
      run.close();
      throw error;
    }
  };
  return Object.assign(fetch, { close: () => pool.close() });
}

const encoder = new TextEncoder();
/** Statuses whose responses have no body (Fetch standard, null body status). */
const NO_BODY = [101, 103, 204, 205, 304];

/** One request. */
class Run {
  #exchange: Exchange;
  #stream: Stream | undefined;
  #bytes: Uint8Array | undefined;
  #at = 0;
  #source: ReadableStream<Uint8Array> | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #ended = false;
  #closed = false;
  /** What the host's streams threw, for the error's `cause`. */
  #cause: unknown;

  constructor(
    readonly agent: Agent,
    readonly pool: Pool,
    readonly options: ExchangeFetchOptions,
    readonly url: string,
    readonly init: ExchangeRequestInit,
  ) {
    const flow = agent.request(init.method?.toUpperCase() ?? "GET", url, { scopes: init.scopes ?? [] });
    this.#exchange = new Exchange(agent, flow);
    try {
      for (const [name, value] of new Headers(init.headers)) this.#exchange.header(name, value);
      const { body } = init;
      if (typeof body === "string") this.#bytes = encoder.encode(body);
      else if (body instanceof Uint8Array) this.#bytes = body;
      else if (body) this.#source = body;
      if (this.#bytes) this.#exchange.announceBody(this.#bytes.length, true);
      else if (this.#source) this.#exchange.announceBody();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Goes on until the head of the application's answer. */
  async head(): Promise<ExchangeResponse> {
    const head = await this.#until("head");
    if (head?.kind !== "head") throw new Error("an exchange was done without a head");
    this.#exchange.tookHead();
    const { status, headers } = head;
    // Whether content comes is known at the first of it: then a response without has no body.
    const first = NO_BODY.includes(status) || this.init.method?.toUpperCase() === "HEAD" ? await this.#chunk() : undefined;
    const body = first === null ? null : this.#body(first);
    const response = new Response(body, { status, headers });
    const sent = this.#ended ? this.#sentAtEnd : this.#exchange.sent();
    return Object.assign(response, { sent });
  }

  #sentAtEnd: Sent[] = [];

  #body(first: Uint8Array | undefined): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          if (first) controller.enqueue(first);
        },
        pull: async (controller) => {
          try {
            const chunk = await this.#chunk();
            if (chunk) controller.enqueue(chunk);
            else controller.close();
          } catch (error) {
            this.close();
            throw error;
          }
        },
        cancel: () => this.close(),
      },
      { highWaterMark: 0 },
    );
  }

  /** The next content, copied; null at the end, when all is given back. */
  async #chunk(): Promise<Uint8Array | null> {
    const step = await this.#until("body");
    if (step?.kind === "body") {
      const chunk = step.bytes.slice();
      this.#exchange.took(chunk.length);
      return chunk;
    }
    this.#ended = true;
    this.#sentAtEnd = this.#exchange.sent();
    this.#release();
    this.close();
    return null;
  }

  /** Gives the stream to the pool, or closes it. */
  #release(): void {
    const link = this.#exchange.takeLink();
    const stream = this.#stream;
    this.#stream = undefined;
    if (link && stream) this.pool.put(stream, link);
    else {
      link?.close();
      stream?.destroy();
    }
  }

  async #until(wanted: "head" | "body") {
    const exchange = this.#exchange;
    const { signal } = this.init;
    for (;;) {
      signal?.throwIfAborted();
      const step = exchange.poll();
      switch (step.kind) {
        case "head":
        case "body":
          if (step.kind !== wanted) throw new Error(`an exchange gave ${step.kind} for ${wanted}`);
          return step;
        case "done":
          return undefined;
        case "failed":
          throw this.#cause === undefined ? step.error : new RegauthError(step.error, this.#cause);
        case "connect":
          await this.#connect(step.to);
          break;
        case "write":
          await this.#write(step.bytes);
          break;
        case "read":
          await this.#read();
          break;
        case "want-body":
          await this.#give(step.again);
          break;
        case "credentials":
          await lookUp(exchange, step, this.options);
          break;
        case "wait":
          await exchange.wait(step.until, signal);
          break;
        case "close":
          this.#release();
          exchange.closed();
      }
    }
  }

  async #connect(to: Target): Promise<void> {
    const exchange = this.#exchange;
    const idle = to.pooled ? this.pool.take([to.keys.direct, to.keys.proxied]) : undefined;
    if (idle) {
      this.#stream = idle.stream;
      return exchange.connected(idle.link);
    }
    let refused = false;
    const dial = (address: string) => {
      try {
        exchange.dial(address);
      } catch (error) {
        refused = true;
        throw error;
      }
    };
    try {
      const connect = this.options.connect ?? system;
      this.#stream = new Stream(await raced(connect({ ...to, dial }, this.init.signal), this.init.signal));
    } catch (error) {
      if (this.init.signal?.aborted || error instanceof CapabilityError) throw error;
      this.#cause = error;
      return exchange.failed(refused && error instanceof RegauthError ? "address-refused" : failure(error, "connect"));
    }
    exchange.connected();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const stream = this.#stream as Stream;
    if (!stream.writable) {
      // The server may answer before it has read everything.
      if (stream.ready) return this.#take(stream);
      return this.#changed(stream);
    }
    try {
      const { length } = bytes;
      stream.write(bytes);
      this.#exchange.wrote(length);
    } catch (error) {
      this.#lost(error);
    }
  }

  async #read(): Promise<void> {
    const stream = this.#stream as Stream;
    if (!stream.ready) await this.#changed(stream);
    if (stream.ready) this.#take(stream);
  }

  async #changed(stream: Stream): Promise<void> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), this.options.readTimeout ?? 60_000);
    const { signal } = this.init;
    const aborted = () => limit.abort();
    signal?.addEventListener("abort", aborted);
    try {
      await stream.changed(limit.signal);
    } catch {
      signal?.throwIfAborted();
      this.#exchange.failed("timeout");
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** Moves what came into the exchange. */
  #take(stream: Stream): void {
    try {
      const space = this.#exchange.space();
      if (space.length > 0) this.#exchange.filled(stream.take(space));
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    this.#cause = error;
    this.#exchange.failed(failure(error, "reset"));
  }

  /** Gives the next bytes of the application's body. */
  async #give(again: boolean): Promise<void> {
    const exchange = this.#exchange;
    if (this.#bytes) {
      if (again) this.#at = 0;
      // Not all at once: what is given is copied into the module.
      const rest = this.#bytes.subarray(this.#at, this.#at + 65536);
      const taken = exchange.body(rest, this.#at + rest.length === this.#bytes.length);
      this.#at += taken;
      return;
    }
    if (again || !this.#source) return exchange.bodyGone();
    this.#reader ??= this.#source.getReader();
    const { value, done } = await this.#reader.read();
    if (done) {
      exchange.body(new Uint8Array(0), true);
      return;
    }
    let rest = value;
    for (;;) {
      rest = rest.subarray(exchange.body(rest, false));
      if (rest.length === 0) return;
      // The exchange has to write before it takes more.
      const step = exchange.poll();
      if (step.kind === "write") await this.#write(step.bytes);
      else if (step.kind === "read") await this.#read();
      else if (step.kind !== "want-body") return;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.options.explain?.(this.#exchange.explain());
    this.#exchange.close();
    this.#stream?.destroy();
    this.#reader?.cancel().catch(() => undefined);
  }
}

/** A stream, unless the request is aborted before it is there: then it is destroyed when it comes. */
function raced(stream: Promise<Duplex>, signal?: AbortSignal | null): Promise<Duplex> {
  if (!signal) return stream;
  return new Promise((resolve, reject) => {
    const aborted = () => {
      reject(signal.reason);
      stream.then((late) => new Stream(late).destroy()).catch(() => undefined);
    };
    signal.addEventListener("abort", aborted, { once: true });
    stream.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/** The word for what a stream threw, by the codes of Node's sockets. */
function failure(error: unknown, other: Failure): Failure {
  const code = String((error as { code?: unknown } | undefined)?.code ?? "");
  return code === "ETIMEDOUT" ? "timeout" : other;
}

/** TCP by `node:net`, to an address that the policy allows. */
async function system(to: ConnectTarget, signal?: AbortSignal | null): Promise<Duplex> {
  const modules = Promise.all([hostModule<Net>("node:net"), hostModule<Dns>("node:dns/promises")]);
  const [net, dns] = await modules.catch((cause: unknown) => {
    throw new CapabilityError("socket", "this host has no node:net. Give exchangeFetch a `connect`.", cause);
  });
  const found = net.isIP(to.host) ? [{ address: to.host }] : ((await dns.lookup?.(to.host, { all: true })) ?? []);
  const addresses = found.map(({ address }) => address);
  let last: unknown = new Error(`${to.host} has no address`);
  let tried = false;
  for (const address of addresses) {
    try {
      to.dial(address);
      return await new Promise((resolve, reject) => {
        const socket = net.connect({ host: address, port: to.port, noDelay: true, ...(signal && { signal }) });
        // Listening goes on: an error behind the connection is the stream's.
        socket.on("error", reject);
        socket.on("connect", () => resolve(socket));
      });
    } catch (error) {
      // That an address did not answer says more than that the next one is not for this hop.
      if (!tried) last = error;
      tried ||= !(error instanceof RegauthError);
    }
  }
  throw last;
}
