// Undoing part of what a delivery has sent and stored.
import { describe, retry } from "./failure.js";
import { host } from "./host.js";

/** Marks the present point. */
export function mark() {
  return host("transaction").mark();
}

/** Forgets all that was sent and stored since the mark, and all later marks. */
export function rollback(to) {
  host("transaction").rollbackTo(to);
}

/**
 * A `handleBatch` of a `handle`: calls it for each message, and undoes what it sent and stored for one that it
 * throws at.
 */
export function each(handle) {
  return (messages) => messages.map((message) => {
    const before = mark();
    try {
      if (typeof handle(message)?.then === "function") {
        throw new Error("`handle` returned a promise: a message is handled when it returns, and nothing here has to be awaited");
      }
      return undefined;
    } catch (thrown) {
      rollback(before);
      return thrown instanceof Error ? thrown : retry(describe(thrown));
    }
  });
}
