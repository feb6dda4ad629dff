// The module: instantiated once, and closed for good when it panics.

import * as glue from "#glue";
import { module } from "#module";

/** The module panicked, which is a defect of this package. Every later call throws the same error. */
export class PanicError extends Error {
  override readonly name = "RegauthPanicError";
}

let dead: PanicError | undefined;

function panicked(cause: unknown): PanicError {
  // A panic is a trap without a text, which could hold a secret: where it was is in the stack.
  const stack = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  const place = /wasm-function\[\d+\](:0x[0-9a-f]+)?/.exec(stack)?.[0] ?? "an unknown place";
  dead ??= new PanicError(
    `regauth panicked at ${place} and cannot be used any more in this process. Please report it.`,
    { cause },
  );
  return dead;
}

type Call = (...args: unknown[]) => unknown;

/** The exports, each of which throws once one of them has panicked. A free does nothing then: `finally` has no error. */
function guarded(exports: WebAssembly.Exports): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(exports)) {
    all[name] = typeof value === "function" ? guard(value as Call, name.endsWith("_free")) : value;
  }
  return all;
}

function guard(call: Call, frees: boolean): Call {
  if (frees) {
    return (...args) => (dead ? undefined : run(() => call(...args)));
  }
  // Of fixed length, since a rest parameter costs a warm request as much as the rest of it.
  if (call.length <= 4) {
    return (a, b, c, d) => {
      if (dead) throw dead;
      try {
        return call(a, b, c, d);
      } catch (cause) {
        throw panicked(cause);
      }
    };
  }
  return (...args) => run(() => call(...args));
}

function run<T>(call: () => T): T {
  if (dead) throw dead;
  try {
    return call();
  } catch (cause) {
    throw panicked(cause);
  }
}

const imports = Object.fromEntries(
  WebAssembly.Module.imports(module).map(({ module: from }) => [from, glue as unknown as WebAssembly.ModuleImports]),
);
const instance = new WebAssembly.Instance(module, imports).exports;
glue.__wbg_set_wasm(guarded(instance));
(instance["__wbindgen_start"] as () => void)();

const memory = instance["memory"] as WebAssembly.Memory;

/** Bytes of the module's memory, valid until its next call. */
export function view(start: number, length: number): Uint8Array {
  return new Uint8Array(memory.buffer, start, length);
}

/** Pages of 64 KiB: it never shrinks. For tests and benchmarks. */
export function memoryPages(): number {
  return memory.buffer.byteLength / 65536;
}

/** @internal Panics, for the test of what that does. */
export function panicForTest(): void {
  glue.panic_for_test();
}
