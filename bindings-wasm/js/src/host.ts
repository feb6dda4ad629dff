// Modules of Node that a host may lack.

/** A module of the host; rejects where there is none. The name is no literal, so that no bundler looks for it. */
export function hostModule<T>(name: `node:${string}`): Promise<T> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ name) as Promise<T>;
}

/** What is used of `node:net`. */
export interface Net {
  isIP(text: string): number;
  connect(options: { host: string; port: number; noDelay: boolean; signal?: AbortSignal }): NodeStream;
}

/** What is used of `node:dns/promises`. */
export interface Dns {
  lookup?(host: string, options: { all: true }): Promise<{ address: string }[]>;
}

/** What is used of a Node.js socket or `Duplex`. */
export interface NodeStream {
  on(event: string, listener: (...args: any[]) => void): unknown;
  write(bytes: Uint8Array): boolean;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
}
