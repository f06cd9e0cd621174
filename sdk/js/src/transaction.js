// Undoing part of what a delivery has sent and stored.
import { host } from "./host.js";

/** Marks the present point. */
export function mark() {
  return host("transaction").mark();
}

/** Forgets all that was sent and stored since the mark, and all later marks. */
export function rollback(to) {
  host("transaction").rollbackTo(to);
}
