/** A message as it is delivered. Delivery is at least once: `id` is the key to what is done outside the host. */
export interface Message {
  /** Identifies the message: a UUID, the same on every delivery. */
  readonly id: string;
  /** The queue it came from. */
  readonly queue: string;
  /** The payload, exactly as it was sent; empty if it is large and the handler imports `openBody`. */
  readonly body: Uint8Array;
  /** The media type of `body`, if the sender gave one. */
  readonly contentType: string | null;
  /** What the sender attached. */
  readonly attributes: Readonly<Record<string, string>>;
  /** The group (ordering key): messages of a group are delivered in order, one at a time. */
  readonly group: string | null;
  /** Ties replies to requests. */
  readonly correlationId: string | null;
  /** The message whose handling led to this one, if a handler sent it. */
  readonly causationId: string | null;
  /** Where the sender wants an answer; see `reply`. */
  readonly replyTo: string | null;
  /** What kind of message this is, such as `order.placed`. */
  readonly type: string | null;
  /** The version of the schema that `body` follows. */
  readonly schemaVersion: string | null;
  /** Who sent it. */
  readonly source: string | null;
  /** How urgent it is, 0 to 9, higher first; 4 unless the sender said otherwise. */
  readonly priority: number;
  /** W3C Trace Context, if the sender gave one. */
  readonly trace: { readonly traceparent: string; readonly tracestate: string } | null;
  /** When its queue accepted it. */
  readonly enqueuedAt: Date;
  /** When it expires, if it does. */
  readonly expiresAt: Date | null;
  /** Which attempt this is: 1 on the first. */
  readonly attempt: number;
  /** The body as text; a body that is not UTF-8 is rejected. */
  text(): string;
  /** The body as JSON; a body that is not JSON is rejected. */
  json<T = any>(): T;
}

/** What a module exports as `handle`. When it returns, the message is acknowledged; when it throws, it comes again. */
export type Handler = (message: Message) => void;

/**
 * What a module exports as `handleBatch`, for a queue with `batch_size`: it is given several messages, and what it
 * sends and stores for them is committed together. It returns nothing if all of them are done, or a list with an
 * outcome for each, in their order: nothing for one that is done, an error (`reject("why")`, `retryAfter(…)`, any
 * other for a retry) for one that is not. When it throws, nothing of it counts and the messages come one by one.
 * A message that comes alone goes to `handle`, if the module exports that, too.
 */
export type BatchHandler = (messages: Message[]) => readonly (Error | null | undefined | void)[] | void;

/** Milliseconds, or a text such as "250ms", "30s", "5m", "1.5h", "7d". */
export type Duration = number | string;

/** Thrown to say what is to happen with the message. */
export class Failure extends Error {
  private constructor();
  readonly kind: "retry" | "retry-after" | "reject" | "postpone";
  readonly reason?: string;
  readonly delay?: number;
}

/** It will never work: the message is dead now. `throw reject("why")`. */
export function reject(why: string): Failure;
/** It may work later: comes again after the back-off of its queue. Any other error that is thrown does the same. */
export function retry(why: string): Failure;
/** It may work after this time. */
export function retryAfter(why: string, delay: Duration): Failure;
/** It is not its turn: comes again after this time, and the attempt is not counted. */
export function postpone(delay: Duration): Failure;

/** What a message says about itself. */
export interface SendOptions {
  contentType?: string;
  attributes?: Record<string, string | number | boolean>;
  group?: string;
  correlationId?: string;
  replyTo?: string;
  type?: string;
  schemaVersion?: string;
  /** 0 to 9, higher first; 4 unless given. */
  priority?: number;
  /** If the destination accepted a message with this id within its deduplication window, this one is dropped. */
  dedupId?: string;
  /** Held back for this long after the ack. */
  delay?: Duration;
  /** Expires this long after the ack; longer than `delay`. */
  ttl?: Duration;
}

/**
 * Sends a message to a queue or topic with the ack of this delivery, or not at all. Text is sent as text,
 * bytes as they are, any other value as JSON. Returns the id.
 */
export function send(queue: string, value: unknown, options?: SendOptions): string;
/** Answers to the queue that the sender of `message` named. */
export function reply(message: Message, value: unknown, options?: SendOptions): string;

/** Why a message cannot be sent. Not caught, it becomes a retry. */
export class SendError extends Error {
  private constructor();
  readonly code: "not-permitted" | "no-recipient" | "too-large" | "too-many" | "invalid";
}

/** What the handler keeps between messages, written with the ack. Failures are a `state.StateError`. */
export namespace state {
  function get(key: string): Uint8Array | null;
  function getText(key: string): string | null;
  function getJson<T = any>(key: string): T | null;
  function set(key: string, value: string | Uint8Array): void;
  function setJson(key: string, value: unknown): void;
  function remove(key: string): void;
  /** Adds to a counter, which starts at 0. Deliveries that only add to the same counter never disturb each other. */
  function add(key: string, delta: number): void;
  /** What a counter stands at; 0 if there is none. */
  function counter(key: string): number;
  /** All keys that start with `prefix`, in byte order. */
  function keys(prefix?: string): IterableIterator<string>;
  /** At most `limit` keys (and at most 1,000) that start with `prefix` and sort after `after`. */
  function page(prefix: string, after: string | null, limit: number): string[];
  class StateError extends Error {
    private constructor();
    readonly code: "invalid-key" | "too-large" | "quota-exceeded" | "not-a-counter" | "unavailable" | "not-json";
  }
}

/** Undoing part of what a delivery has sent and stored. */
export namespace transaction {
  /** Marks the present point. */
  function mark(): number;
  /** Forgets all that was sent and stored since the mark, and all later marks. */
  function rollback(to: number): void;
  /**
   * A `handleBatch` of a `handle`, for what gains from fewer commits only: calls it for each message, and undoes
   * what it sent and stored for one that it throws at. `export const handleBatch = transaction.each(handle)`.
   */
  function each(handle: Handler): BatchHandler;
}

/** The delivery in progress. */
export namespace delivery {
  /** Milliseconds left until the host stops the handler. */
  function remaining(): number;
  /** Asks that at least this much time be left; returns the milliseconds left. */
  function extend(need: Duration): number;
  /** Whether the handler should wind up early. */
  function ending(): boolean;
  /** Tells operators how far the delivery has come. */
  function progress(percent: number, note?: string): void;
  /** How many attempts a message gets, if there is a limit. */
  function maxAttempts(): number | null;
  /** Why the previous attempt at this message failed, if it did. */
  function previousFailure(): string | null;
}

/** Secrets granted to the handler in the configuration of the host. */
export namespace secrets {
  function get(name: string): string | null;
}

/** Reads a body piece by piece; made by `openBody`. Iterating gives pieces of at most 64 KiB. */
export interface BodyReader extends Iterable<Uint8Array> {
  readonly size: number;
  /** The bytes from `offset` on, at most `most` and at most 1 MiB; fewer only at the end. */
  read(offset: number, most: number): Uint8Array;
}

/** A handler that imports this gets large bodies only this way: `message.body` is empty then. */
export function openBody(message: Message): BodyReader;
