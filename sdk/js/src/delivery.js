// The delivery in progress: how long it may take, and what is known about it.
import { milliseconds } from "./duration.js";
import { call, host } from "./host.js";

/** Milliseconds left until the host stops the handler. */
export function remaining() {
  return Number(host("delivery").remaining());
}

/** Asks that at least this much time be left; returns the milliseconds left. */
export function extend(need) {
  const ms = milliseconds(need, "the time of extend");
  return Number(call(() => host("delivery").extend(ms), ({ tag }) => new Error(
    tag === "limit-reached"
      ? "no more time: the most that a delivery may take in all would be exceeded; raise max_timeout in the configuration of the handler"
      : "no more time: the delivery is being ended",
  )));
}

/** Whether the handler should wind up early. */
export function ending() {
  return host("delivery").ending();
}

/** Tells operators how far the delivery has come. */
export function progress(percent, note = "") {
  host("delivery").progress(percent, note);
}

/** How many attempts a message gets, or `null` if there is no limit. */
export function maxAttempts() {
  return host("delivery").maxAttempts() ?? null;
}

/** Why the previous attempt at this message failed, or `null`. */
export function previousFailure() {
  return host("delivery").previousFailure() ?? null;
}
