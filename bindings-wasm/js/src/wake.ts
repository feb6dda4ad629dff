// Waits. The module puts numbers of flows on a list; it is emptied in a microtask after each call that may wake.

import * as glue from "#glue";

const waiting = new Map<number, () => void>();
let planned = false;

/** To be called after whatever may have woken other flows. */
export function woke(): void {
  if (planned || waiting.size === 0) return;
  planned = true;
  queueMicrotask(() => {
    planned = false;
    for (const number of glue.take_woken()) waiting.get(number)?.();
  });
}

/** Ends the wait of a flow that is closed. */
export function closed(number: number): void {
  waiting.get(number)?.();
  woke();
}

// setTimeout takes no longer time.
const LONGEST = 2 ** 31 - 1;

/** Ends when the flow of this number is woken, at the latest after so many milliseconds; throws what the signal says. */
export function wait(number: number, milliseconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (then: () => void) => () => {
      waiting.delete(number);
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      then();
    };
    const aborted = end(() => reject(signal?.reason));
    const timer = setTimeout(end(resolve), Math.min(Math.max(milliseconds, 0), LONGEST));
    waiting.set(number, end(resolve));
    if (signal?.aborted) return aborted();
    signal?.addEventListener("abort", aborted);
    // Between the poll and here nothing ran, but a wake may be on the list already.
    woke();
  });
}
