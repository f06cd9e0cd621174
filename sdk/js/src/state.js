// What the handler keeps between messages, written with the ack.
import { call, host } from "./host.js";

/** Why a key or value could not be read or written. Not caught, it becomes a retry. */
export class StateError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "StateError";
    /** "invalid-key", "too-large", "quota-exceeded", "not-a-counter", "unavailable" or "not-json". */
    this.code = code;
  }
}

/** The value of a key as bytes, or `null`. */
export function get(key) {
  return on(key, (state) => state.get(key)) ?? null;
}

/** The value of a key as text, or `null`. */
export function getText(key) {
  const value = get(key);
  return value === null ? null : new TextDecoder().decode(value);
}

/** The value of a key as JSON, or `null`. */
export function getJson(key) {
  const text = getText(key);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StateError("not-json", `the value of state key ${JSON.stringify(key)} is not JSON: ${error.message}`);
  }
}

/** Sets the value of a key: text or bytes. */
export function set(key, value) {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError("state.set takes text or a Uint8Array; for other values there is state.setJson");
  }
  on(key, (state) => state.set(key, bytes));
}

/** Sets the value of a key to JSON. */
export function setJson(key, value) {
  const json = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`a ${typeof value} cannot be stored as JSON`);
  set(key, json);
}

/** Removes a key; it need not exist. */
export function remove(key) {
  on(key, (state) => state.remove(key));
}

/** Adds to a counter, which starts at 0. Deliveries that only add to the same counter never disturb each other. */
export function add(key, delta) {
  if (!Number.isSafeInteger(delta)) {
    throw new TypeError(`state.add takes a whole number below 2^53, not ${String(delta)}`);
  }
  on(key, (state) => state.add(key, delta));
}

/** What a counter stands at; 0 if there is none. Exact up to 2^53. */
export function counter(key) {
  const value = get(key);
  if (value === null) return 0;
  if (value.length !== 8) throw stateError({ tag: "not-a-counter" }, key);
  return Number(new DataView(value.buffer, value.byteOffset, 8).getBigInt64(0, true));
}

/** How many keys are fetched at a time. */
const PAGE = 100;

/** All keys that start with `prefix`, in byte order, fetched in pages while one goes. */
export function* keys(prefix = "") {
  let after = null;
  for (;;) {
    const found = page(prefix, after, PAGE);
    yield* found;
    if (found.length < PAGE) return;
    after = found[found.length - 1];
  }
}

/** At most `limit` keys (and at most 1,000) that start with `prefix` and sort after `after`. */
export function page(prefix, after, limit) {
  return on(prefix, (state) => state.listKeys(prefix, after ?? null, limit));
}

function on(key, work) {
  if (typeof key !== "string") throw new TypeError(`a state key is a text, not ${String(key)}`);
  return call(() => work(host("state")), (error) => stateError(error, key));
}

function stateError({ tag, val }, key) {
  const quoted = JSON.stringify(key);
  switch (tag) {
    case "invalid-key":
      return new StateError(tag, `a state key must have 1 to 512 bytes, but this one has ${new TextEncoder().encode(key).length}`);
    case "too-large":
      return new StateError(tag, `the value for state key ${quoted} is too large: at most ${val} bytes are allowed`);
    case "quota-exceeded":
      return new StateError(tag, "the state of this handler is full, or this delivery has touched as many keys or bytes as it may: raise the limit in the configuration of the handler");
    case "not-a-counter":
      return new StateError(tag, `state key ${quoted} holds no counter: it was set, not added to; use another key, or remove it first`);
    default:
      return new StateError(tag, `the state is unavailable: ${val}`);
  }
}
