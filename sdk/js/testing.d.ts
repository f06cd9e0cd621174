import type { BatchHandler, Duration, Handler } from "./index.js";

/** A message for a test; what is not given is as in a plain message at its first attempt. One body at most. */
export interface TestMessage {
  json?: unknown;
  text?: string;
  body?: Uint8Array | string;
  /** A body that is found only by `openBody`. */
  large?: Uint8Array;
  id?: string;
  queue?: string;
  contentType?: string;
  attributes?: Record<string, string>;
  group?: string;
  correlationId?: string;
  causationId?: string;
  replyTo?: string;
  type?: string;
  schemaVersion?: string;
  source?: string;
  priority?: number;
  trace?: { traceparent: string; tracestate: string };
  enqueuedAt?: Date | number;
  expiresAt?: Date | number | null;
  attempt?: number;
}

/** What became of a message. */
export type Outcome =
  | { kind: "done" }
  | { kind: "retry"; reason: string }
  | { kind: "retry-after"; reason: string; delay: number }
  | { kind: "reject"; reason: string }
  | { kind: "postpone"; delay: number };

/** A message that was sent by a handler that succeeded. */
export interface Sent {
  readonly to: string;
  readonly id: string;
  readonly isReply: boolean;
  readonly body: Uint8Array;
  readonly contentType: string | null;
  readonly attributes: Record<string, string>;
  readonly group: string | null;
  readonly correlationId: string | null;
  readonly replyTo: string | null;
  readonly type: string | null;
  readonly schemaVersion: string | null;
  readonly priority: number | null;
  readonly dedupId: string | null;
  readonly delay: number | null;
  readonly ttl: number | null;
  text(): string;
  json<T = any>(): T;
}

/** A host in small: it runs handlers, and keeps what they sent and stored. */
export class Delivery {
  /** Allows sending to this queue. From the first call on, only queues so named are allowed. */
  allow(queue: string, maxBody?: number): this;
  /** Stores a value: bytes as they are, text as UTF-8, anything else as JSON. */
  setState(key: string, value: unknown): this;
  setCounter(key: string, count: number | bigint): this;
  setSecret(name: string, value: string): this;
  setMaxAttempts(most: number | null): this;
  setPreviousFailure(why: string | null): this;
  setRemaining(remaining: Duration, most?: Duration): this;
  setEnding(ending: boolean): this;
  /** Calls a handler with a message. If it returns, what it sent and stored is kept; otherwise that is dropped. */
  run(handle: Handler, message?: TestMessage): Outcome;
  /**
   * Calls a handler with several messages. If one of them is done, what it sent and stored is kept; otherwise that is
   * dropped. What it throws is thrown: the host would deliver the messages one by one.
   */
  runBatch(handleBatch: BatchHandler, messages: TestMessage[]): Outcome[];
  /** All that handlers which succeeded have sent, in order; with a queue, what was sent there. */
  sent(queue?: string): Sent[];
  state(key: string): Uint8Array | null;
  stateJson<T = any>(key: string): T | null;
  counter(key: string): number;
  /** The keys of the state, in byte order. */
  keys(): string[];
  progress(): { percent: number; note: string } | null;
}
