// Why a message was not handled, and what is to happen with it.
import { milliseconds } from "./duration.js";
import { translate } from "./trace.js";

/** The most bytes of a reason that are kept with a message. */
const MAX_REASON = 4096;

/** Thrown by a handler to say what is to happen with the message; made by the functions below. */
export class Failure extends Error {
  constructor(kind, reason, delay) {
    super(reason ?? `postponed for ${delay} ms`);
    this.name = "Failure";
    /** "retry", "retry-after", "reject" or "postpone". */
    this.kind = kind;
    /** Why, if there is a reason. */
    this.reason = reason;
    /** The least time to wait, in milliseconds, if there is one. */
    this.delay = delay;
  }
}

/** It will never work: the message is dead now. */
export function reject(why) {
  return new Failure("reject", String(why));
}

/** It may work later: comes again after the back-off of its queue. Any other error that is thrown does the same. */
export function retry(why) {
  return new Failure("retry", String(why));
}

/** It may work after this time, a number of milliseconds or a text such as "30s". */
export function retryAfter(why, delay) {
  return new Failure("retry-after", String(why), milliseconds(delay, "the delay of retryAfter"));
}

/** It is not its turn: comes again after this time, and the attempt is not counted. */
export function postpone(delay) {
  return new Failure("postpone", undefined, milliseconds(delay, "the delay of postpone"));
}

/** What was thrown, as the variant `failure` of the interface. */
export function toWit(thrown) {
  if (!(thrown instanceof Failure)) return { tag: "retry", val: clip(describe(thrown)) };
  const { kind, reason, delay } = thrown;
  if (kind === "postpone") return { tag: kind, val: delay };
  if (kind === "retry-after") return { tag: kind, val: { reason: clip(reason), delay } };
  return { tag: kind, val: clip(reason) };
}

/** An error with its stack and its causes; any other value as text. */
export function describe(thrown) {
  if (!(thrown instanceof Error)) return `thrown: ${text(thrown)}`;
  const parts = [];
  for (let error = thrown; error && parts.length < 8; error = error.cause) {
    parts.push(error instanceof Error ? withStack(error) : text(error));
  }
  return parts.join("\ncaused by: ");
}

function withStack(error) {
  const said = error.message ? `${error.name}: ${error.message}` : String(error.name);
  const stack = translate(String(error.stack ?? "").trimEnd());
  // Some engines begin the stack with what the error says, others do not.
  if (stack.startsWith(said)) return stack;
  return stack ? `${said}\n${stack}` : said;
}

function text(value) {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** The beginning of a text that has no more bytes than a reason may have, cut between characters. */
function clip(reason) {
  const bytes = new TextEncoder().encode(reason);
  if (bytes.length <= MAX_REASON) return reason;
  let end = MAX_REASON;
  while ((bytes[end] & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(bytes.subarray(0, end));
}
