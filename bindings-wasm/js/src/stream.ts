// Byte streams that a host may give, as one kind.

import type { NodeStream } from "./host.js";

/** A duplex byte stream: a Node.js socket or `Duplex`, or a pair of web streams (Deno, Workers `connect()`). */
export type Duplex =
  | NodeStream
  | { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> };

/** What is read waits in a queue up to this many bytes; then the stream is paused. */
const QUEUE = 256 * 1024;

/** A stream as an exchange drives it: what comes in waits in a queue, so that it can be looked at while a write waits. */
export class Stream {
  #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  #error: unknown;
  #wake: (() => void) | undefined;
  #blocked: Promise<void> | undefined;
  #write: (bytes: Uint8Array) => Promise<void> | undefined;
  #pause: (paused: boolean) => void;
  #destroy: () => void;

  constructor(duplex: Duplex) {
    if ("readable" in duplex && "writable" in duplex && typeof duplex.writable === "object") {
      const reader = duplex.readable.getReader();
      const writer = duplex.writable.getWriter();
      let resume: (() => void) | undefined;
      let paused = false;
      const pump = async () => {
        for (;;) {
          const { value, done } = await reader.read();
          if (done) return this.#end();
          this.#push(value);
          if (paused) await new Promise<void>((resolve) => (resume = resolve));
        }
      };
      pump().catch((error: unknown) => this.#end(error));
      this.#write = (bytes) => writer.write(bytes);
      this.#pause = (wanted) => {
        paused = wanted;
        if (!wanted) resume?.();
      };
      this.#destroy = () => {
        resume?.();
        reader.cancel().catch(() => undefined);
        writer.abort().catch(() => undefined);
      };
      return;
    }
    const socket = duplex as NodeStream;
    let drained: (() => void) | undefined;
    socket.on("data", (chunk: Uint8Array) => this.#push(chunk));
    socket.on("end", () => this.#end());
    socket.on("error", (error: unknown) => {
      this.#end(error);
      drained?.();
    });
    socket.on("close", () => {
      this.#end();
      drained?.();
    });
    socket.on("drain", () => drained?.());
    this.#write = (bytes) =>
      socket.write(bytes) ? undefined : new Promise<void>((resolve) => (drained = resolve));
    this.#pause = (paused) => (paused ? socket.pause() : socket.resume());
    this.#destroy = () => socket.destroy();
  }

  #push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#queued >= QUEUE) this.#pause(true);
    this.#tell();
  }

  #end(error?: unknown): void {
    if (!this.#ended) {
      this.#ended = true;
      this.#error = error;
    }
    this.#tell();
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Whether nothing came since it was put aside: then it can be used again. */
  get idle(): boolean {
    return !this.#ended && this.#queued === 0;
  }

  /** Whether there is something to take, the end included. */
  get ready(): boolean {
    return this.#ended || this.#queued > 0;
  }

  /** Moves bytes into `space` and gives how many; 0 at the end; throws what broke the stream. */
  take(space: Uint8Array): number {
    const first = this.#queue[0];
    if (!first) {
      if (this.#error !== undefined) throw this.#error;
      return 0;
    }
    const n = Math.min(first.length, space.length);
    space.set(n === first.length ? first : first.subarray(0, n));
    if (n === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(n);
    const before = this.#queued;
    this.#queued -= n;
    if (before >= QUEUE && this.#queued < QUEUE) this.#pause(false);
    return n;
  }

  /** Takes all of these bytes. They are copied, since they are lent by the module. */
  write(bytes: Uint8Array): void {
    if (this.#ended && this.#error !== undefined) throw this.#error;
    this.#blocked = this.#write(bytes.slice())?.then(
      () => {
        this.#blocked = undefined;
        this.#tell();
      },
      (error: unknown) => {
        this.#blocked = undefined;
        this.#end(error);
      },
    );
  }

  /** Whether more can be written now. */
  get writable(): boolean {
    return this.#blocked === undefined;
  }

  /** Ends when something came, or a write that waited is done. */
  changed(signal?: AbortSignal | null): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = () => reject(signal?.reason);
      this.#wake = () => {
        signal?.removeEventListener("abort", aborted);
        resolve();
      };
      if (signal?.aborted) return aborted();
      signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  destroy(): void {
    this.#destroy();
  }
}
