// A fake delivery, so that handlers can be tested with `node --test` and without a host.
//
// It follows the rules of the host: reads see the handler's own writes, effects count only if the handler
// succeeds, and the limits are the host's defaults. It does not know back-off, conflicts with other
// deliveries, or time.
import { outcomesOf } from "../batch.js";
import { run } from "../entry.js";
import { Failure } from "../failure.js";
import { bind, binding, isRunning, setRunning } from "../host.js";
import { Message } from "../message.js";
import { Attempt } from "./attempt.js";
import { bytesOf, countOf, counterValue, inByteOrder } from "./held.js";
import { milliseconds } from "../duration.js";
import * as limits from "./limits.js";

/** A message that was sent by a handler that succeeded. */
class Sent {
  constructor(held) {
    const { messageType, attributes, ...rest } = held;
    Object.assign(this, rest, { type: messageType, attributes: Object.fromEntries(attributes) });
  }

  /** The body as text. */
  text() {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.body);
  }

  /** The body as JSON. */
  json() {
    return JSON.parse(this.text());
  }
}

/** A host in small: it runs handlers, and keeps what they sent and stored. */
export class Delivery {
  #setup = {
    queues: null, secrets: new Map(), maxAttempts: 10, previousFailure: null, remaining: 30_000,
    maxRemaining: 15 * 60_000, ending: false,
  };
  #state = new Map();
  #sent = [];
  #ids = 0;
  #progress = null;

  /** Allows sending to this queue. From the first call on, only queues so named are allowed. */
  allow(queue, maxBody = limits.MAX_BODY) {
    (this.#setup.queues ??= new Map()).set(queue, maxBody);
    return this;
  }

  /** Stores a value: bytes as they are, text as UTF-8, anything else as JSON. */
  setState(key, value) {
    const bytes = value instanceof Uint8Array ? value : bytesOf(typeof value === "string" ? value : JSON.stringify(value));
    this.#state.set(key, { bytes, counter: false });
    return this;
  }

  /** Stores a counter. */
  setCounter(key, count) {
    this.#state.set(key, counterValue(BigInt(count)));
    return this;
  }

  /** Grants a secret. */
  setSecret(name, value) {
    this.#setup.secrets.set(name, value);
    return this;
  }

  /** What `delivery.maxAttempts()` says; 10 unless told otherwise. */
  setMaxAttempts(most) {
    this.#setup.maxAttempts = most;
    return this;
  }

  /** What `delivery.previousFailure()` says. */
  setPreviousFailure(why) {
    this.#setup.previousFailure = why;
    return this;
  }

  /** The time left when a handler starts, and how far it can be extended. */
  setRemaining(remaining, most = 15 * 60_000) {
    this.#setup.remaining = milliseconds(remaining, "remaining");
    this.#setup.maxRemaining = milliseconds(most, "most");
    return this;
  }

  /** Whether handlers are asked to wind up. */
  setEnding(ending) {
    this.#setup.ending = ending;
    return this;
  }

  /**
   * Calls a handler with a message. If it returns, what it sent and stored is kept; otherwise that is
   * dropped. Says what becomes of the message.
   */
  run(handle, message = {}) {
    let outcome = { kind: "done" };
    this.#attempt([message], ([record]) => {
      try {
        run(handle, record);
      } catch (failure) {
        outcome = outcomeOf(failure);
      }
      return outcome.kind === "done";
    });
    return outcome;
  }

  /**
   * Calls a handler with several messages. If one of them is done, what it sent and stored is kept; otherwise
   * that is dropped. Says what becomes of each message. What the handler throws is thrown: the host would
   * deliver the messages one by one.
   */
  runBatch(handleBatch, messages) {
    let outcomes;
    this.#attempt(messages, (records) => {
      setRunning(true);
      try {
        outcomes = outcomesOf(handleBatch, records.map((record) => new Message(record)));
      } finally {
        setRunning(false);
      }
      outcomes = outcomes.map(({ tag, val }) => (tag === "done" ? { kind: tag } : outcomeOf(val)));
      return outcomes.some(({ kind }) => kind === "done");
    });
    return outcomes;
  }

  /** Runs what `work` does with these messages, and keeps the effects if it says so. */
  #attempt(messages, work) {
    if (isRunning()) throw new Error("a delivery is already running: a handler cannot run another");
    const attempt = new Attempt(this.#setup, this.#state, this.#ids, messages.map(recordOf));
    const before = binding();
    bind(attempt.interfaces());
    let keeps = false;
    try {
      keeps = work(attempt.records);
    } finally {
      const unbound = Object.fromEntries(Object.keys(attempt.interfaces()).map((name) => [name, undefined]));
      bind({ ...unbound, ...before });
      this.#ids = attempt.ids;
      this.#progress = attempt.progress;
    }
    if (keeps) {
      this.#state = attempt.held.changes.state;
      this.#sent.push(...attempt.held.changes.sent.map((sent) => new Sent(sent)));
    }
  }

  /** All that handlers which succeeded have sent, in order; with a queue, what was sent there. */
  sent(queue) {
    return this.#sent.filter(({ to }) => queue === undefined || to === queue);
  }

  /** The value of a state key as bytes, or `null`. */
  state(key) {
    return this.#state.get(key)?.bytes ?? null;
  }

  /** The value of a state key as JSON, or `null`. */
  stateJson(key) {
    const bytes = this.state(key);
    return bytes === null ? null : JSON.parse(new TextDecoder().decode(bytes));
  }

  /** What a counter stands at; 0 if there is none. */
  counter(key) {
    const value = this.#state.get(key);
    if (value && !value.counter) throw new Error(`${JSON.stringify(key)} holds no counter`);
    return value ? Number(countOf(value)) : 0;
  }

  /** The keys of the state, in byte order. */
  keys() {
    return [...this.#state.keys()].sort(inByteOrder);
  }

  /** What the last handler that ran said about its progress: `{ percent, note }`, or `null`. */
  progress() {
    return this.#progress;
  }
}

const FIELDS = [
  "id", "queue", "body", "text", "json", "large", "contentType", "attributes", "group", "correlationId",
  "causationId", "replyTo", "type", "schemaVersion", "source", "priority", "trace", "enqueuedAt", "expiresAt",
  "attempt",
];

/** A message as the interface has it, of what a test says about it; and its whole body. */
function recordOf(message) {
  const unknown = Object.keys(message).find((name) => !FIELDS.includes(name));
  if (unknown) throw new TypeError(`a message has no ${JSON.stringify(unknown)}; it has ${FIELDS.join(", ")}`);
  const given = ["body", "text", "json", "large"].filter((name) => name in message);
  if (given.length > 1) throw new TypeError(`a message has one body, not ${given.join(" and ")}`);
  let [body, contentType] = [message.body ?? message.large ?? new Uint8Array(), null];
  if ("text" in message) [body, contentType] = [bytesOf(message.text), "text/plain; charset=utf-8"];
  if ("json" in message) [body, contentType] = [bytesOf(JSON.stringify(message.json)), "application/json"];
  if (typeof body === "string") body = bytesOf(body);
  const record = {
    id: message.id ?? "00000000-0000-7000-8000-000000000001",
    queue: message.queue ?? "test",
    body: "large" in message ? new Uint8Array() : body,
    contentType: message.contentType ?? contentType,
    attributes: Object.entries(message.attributes ?? {}),
    group: message.group ?? null,
    correlationId: message.correlationId ?? null,
    causationId: message.causationId ?? null,
    replyTo: message.replyTo ?? null,
    messageType: message.type ?? null,
    schemaVersion: message.schemaVersion ?? null,
    source: message.source ?? null,
    priority: message.priority ?? 4,
    trace: message.trace ?? null,
    enqueuedAt: Number(message.enqueuedAt ?? 1_700_000_000_000),
    expiresAt: message.expiresAt == null ? null : Number(message.expiresAt),
    attempt: message.attempt ?? 1,
  };
  return [record, body];
}

function outcomeOf(failure) {
  if (failure instanceof Error && !(failure instanceof Failure)) throw failure;
  const { tag, val } = failure;
  if (tag === "postpone") return { kind: tag, delay: val };
  if (tag === "retry-after") return { kind: tag, reason: val.reason, delay: val.delay };
  return { kind: tag, reason: val };
}
