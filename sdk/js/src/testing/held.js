// What the fake holds back until the handler returns: the state as this delivery sees it, and what it has
// sent. The rules are the host's.
import * as limits from "./limits.js";

export const bytesOf = (text) => new TextEncoder().encode(text);

/** A counter, as the host stores it. */
export function counterValue(count) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, count, true);
  return { bytes, counter: true };
}

/** What a value of a counter stands at. */
export function countOf({ bytes }) {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true);
}

/** Compares texts in the order of their bytes. */
export function inByteOrder(a, b) {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Changes so far, marks among them, and what a rollback does not undo. */
export class Held {
  #marks = [];
  #touched = new Set();
  #listed = 0;

  /** `messages` is how many share this: what may be sent and stored is limited for each. */
  constructor(state, messages = 1) {
    this.most = {
      sends: Math.min(limits.MAX_SENDS * messages, limits.MAX_BATCH_SENDS),
      sendBytes: Math.min(limits.MAX_SEND_BYTES * messages, limits.MAX_BATCH_BYTES),
      stateKeys: Math.min(limits.MAX_STATE_KEYS * messages, limits.MAX_BATCH_STATE_KEYS),
      stateBytes: Math.min(limits.MAX_STATE_BYTES * messages, limits.MAX_BATCH_BYTES),
    };
    this.changes = { state: new Map(state), sent: [], sentBytes: 0, written: new Map() };
  }

  hasRoomFor(size) {
    const { sent, sentBytes } = this.changes;
    return sent.length < this.most.sends && sentBytes + size <= this.most.sendBytes;
  }

  push(sent) {
    this.changes.sentBytes += sent.body.length;
    this.changes.sent.push(sent);
  }

  mark() {
    this.#marks.push(copy(this.changes));
    return this.#marks.length - 1;
  }

  rollbackTo(mark) {
    const changes = this.#marks[mark];
    if (!changes) throw new Error("there is no such mark: the host would trap here");
    this.changes = copy(changes);
    this.#marks.length = mark + 1;
  }

  get(key) {
    this.#touch(key);
    const value = this.changes.state.get(key);
    return value ? value.bytes.slice() : null;
  }

  set(key, bytes) {
    if (bytes.length > limits.MAX_STATE_VALUE) throw { tag: "too-large", val: limits.MAX_STATE_VALUE };
    this.#touch(key);
    this.#account(key, bytes.length);
    this.changes.state.set(key, { bytes: bytes.slice(), counter: false });
  }

  remove(key) {
    this.#touch(key);
    this.#account(key, 0);
    this.changes.state.delete(key);
  }

  add(key, delta) {
    this.#touch(key);
    const before = this.changes.state.get(key);
    if (before && !before.counter) throw { tag: "not-a-counter" };
    this.#account(key, 8);
    const sum = BigInt.asIntN(64, (before ? countOf(before) : 0n) + BigInt(delta));
    this.changes.state.set(key, counterValue(sum));
  }

  listKeys(prefix, after, limit) {
    for (const text of [prefix, after ?? ""]) {
      if (bytesOf(text).length > limits.MAX_STATE_KEY) throw { tag: "invalid-key" };
    }
    if (this.#listed >= this.most.stateKeys * limits.LISTED_PER_KEY) throw { tag: "quota-exceeded" };
    const keys = [...this.changes.state.keys()]
      .filter((key) => key.startsWith(prefix) && (after === null || inByteOrder(key, after) > 0))
      .sort(inByteOrder)
      .slice(0, Math.min(limit, limits.MAX_LISTED_KEYS));
    this.#listed += 1 + keys.length;
    return keys;
  }

  #touch(key) {
    const size = bytesOf(key).length;
    if (size === 0 || size > limits.MAX_STATE_KEY) throw { tag: "invalid-key" };
    if (this.#touched.has(key)) return;
    if (this.#touched.size >= this.most.stateKeys) throw { tag: "quota-exceeded" };
    this.#touched.add(key);
  }

  /** What is written counts once for each key. */
  #account(key, size) {
    const { written } = this.changes;
    let total = size - (written.get(key) ?? 0);
    for (const bytes of written.values()) total += bytes;
    if (total > this.most.stateBytes) throw { tag: "quota-exceeded" };
    written.set(key, size);
  }
}

function copy({ state, sent, sentBytes, written }) {
  return { state: new Map(state), sent: [...sent], sentBytes, written: new Map(written) };
}
