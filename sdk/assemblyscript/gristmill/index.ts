// Gristmill handlers in AssemblyScript: wit/queue.wit in the canonical ABI of the component model.
//
//     import { handler, Message, Result, ok, reject } from "./gristmill";
//
//     handler((message: Message): Result => {
//       if (message.text().length == 0) return reject("an empty order");
//       return ok();
//     });
//
// Memory is collected when a delivery ends, and not before.

import { fd_write } from "./wasi";
import { environment } from "./wasi";

export { environment };

// ---- The wire ----

@external("gristmill:queue/producer@0.1.0", "send")
declare function producer_send(message: usize, result: usize): void;
@external("gristmill:queue/producer@0.1.0", "reply")
declare function producer_reply(message: usize, result: usize): void;
@external("gristmill:queue/state@0.1.0", "get")
declare function state_get(key: usize, size: usize, result: usize): void;
@external("gristmill:queue/state@0.1.0", "set")
declare function state_set(key: usize, size: usize, value: usize, valueSize: usize, result: usize): void;
@external("gristmill:queue/state@0.1.0", "remove")
declare function state_remove(key: usize, size: usize, result: usize): void;
@external("gristmill:queue/state@0.1.0", "add")
declare function state_add(key: usize, size: usize, delta: i64, result: usize): void;
@external("gristmill:queue/secrets@0.1.0", "get")
declare function secrets_get(name: usize, size: usize, result: usize): void;
@external("gristmill:queue/delivery@0.1.0", "previous-failure")
declare function delivery_previous_failure(result: usize): void;
@external("gristmill:queue/delivery@0.1.0", "ending")
declare function delivery_ending(): i32;

// What came from the host, and is freed when the delivery ends.
let received: usize[] = [];
// What the host still reads: buffers, which the collector would not know to be in use.
let held: ArrayBuffer[] = [];
// Where results and an outgoing message are put: 32 and 144 bytes, aligned at 8.
const RESULT = memory.data(32, 16);
const REQUEST = memory.data(144, 16);

/** Memory for what the host passes in. */
export function allocate(size: usize): usize {
  if (size == 0) return 0;
  const memory = heap.alloc(size);
  received.push(memory);
  return memory;
}

function textAt(at: usize): string {
  return String.UTF8.decodeUnsafe(load<usize>(at), load<usize>(at, 4));
}

function optionAt(at: usize): string | null {
  return load<u8>(at) ? textAt(at + 4) : null;
}

function bytesAt(at: usize): Uint8Array {
  const size = <i32>load<usize>(at, 4);
  const bytes = new Uint8Array(size);
  memory.copy(bytes.dataStart, load<usize>(at), size);
  return bytes;
}

/** Puts where a buffer is, and its size, to an address. */
function put(at: usize, buffer: ArrayBuffer): void {
  held.push(buffer);
  store<usize>(at, changetype<usize>(buffer));
  store<usize>(at, buffer.byteLength, 4);
}

function putText(at: usize, text: string): void {
  put(at, String.UTF8.encode(text));
}

function putOption(at: usize, text: string | null): void {
  store<u8>(at, text !== null ? 1 : 0);
  if (text !== null) putText(at + 4, text);
}

function putNumber(at: usize, number: u64): void {
  store<u8>(at, number > 0 ? 1 : 0);
  store<u64>(at, number, 8);
}

// ---- Messages ----

/** A message as it is delivered. What the sender did not give is null, or 0. */
export class Message {
  /** The same on every delivery; use it as an idempotency key. */
  id: string = "";
  queue: string = "";
  body: Uint8Array = new Uint8Array(0);
  contentType: string | null = null;
  attributes: Map<string, string> = new Map();
  group: string | null = null;
  correlationId: string | null = null;
  causationId: string | null = null;
  replyTo: string | null = null;
  messageType: string | null = null;
  schemaVersion: string | null = null;
  source: string | null = null;
  priority: u8 = 4;
  traceparent: string | null = null;
  tracestate: string | null = null;
  enqueuedAt: u64 = 0;
  expiresAt: u64 = 0;
  attempt: u32 = 1;

  /** The body as UTF-8 text. */
  text(): string {
    return String.UTF8.decodeUnsafe(this.body.dataStart, this.body.byteLength);
  }
}

function messageAt(at: usize): Message {
  const message = new Message();
  message.id = textAt(at);
  message.queue = textAt(at + 8);
  message.body = bytesAt(at + 16);
  message.contentType = optionAt(at + 24);
  const attributes = load<usize>(at, 36);
  const count = load<u32>(at, 40);
  for (let i: u32 = 0; i < count; i++) {
    message.attributes.set(textAt(attributes + 16 * i), textAt(attributes + 16 * i + 8));
  }
  message.group = optionAt(at + 44);
  message.correlationId = optionAt(at + 56);
  message.causationId = optionAt(at + 68);
  message.replyTo = optionAt(at + 80);
  message.messageType = optionAt(at + 92);
  message.schemaVersion = optionAt(at + 104);
  message.source = optionAt(at + 116);
  message.priority = load<u8>(at, 128);
  if (load<u8>(at, 132)) {
    message.traceparent = textAt(at + 136);
    message.tracestate = textAt(at + 144);
  }
  message.enqueuedAt = load<u64>(at, 152);
  message.expiresAt = load<u8>(at, 160) ? load<u64>(at, 168) : 0;
  message.attempt = load<u32>(at, 176);
  return message;
}

// ---- What becomes of a message ----

export class Result {
  constructor(
    /** -1: done; otherwise a case of types.failure. */
    public failure: i32,
    public reason: string,
    public delay: u64,
  ) {}
}

/** Done: what was sent and stored counts. */
export function ok(): Result { return new Result(-1, "", 0); }
/** It may work later: deliver again after the back-off of the queue. */
export function retry(why: string): Result { return new Result(0, why, 0); }
/** As retry, with the least time to wait, in milliseconds. */
export function retryAfter(why: string, delay: u64): Result { return new Result(1, why, delay); }
/** It will never work: the message is dead now. */
export function reject(why: string): Result { return new Result(2, why, 0); }
/** It is not its turn: deliver again after the delay, without counting the attempt. */
export function postpone(delay: u64): Result { return new Result(3, "", delay); }

let registered: ((message: Message) => Result) | null = null;

/** Names the function that handles messages. Call it where the program begins. */
export function handler(call: (message: Message) => Result): void {
  registered = call;
}

/** A call of the host. */
export function deliver(at: usize): usize {
  const call = registered;
  if (call === null) throw new Error("no handler: call handler() where the program begins");
  const result = call(messageAt(at));
  memory.fill(RESULT, 0, 32);
  if (result.failure >= 0) {
    store<u8>(RESULT, 1);
    store<u8>(RESULT, <u8>result.failure, 8);
    if (result.failure == 3) {
      store<u64>(RESULT, result.delay, 16);
    } else {
      putText(RESULT + 16, result.reason);
      store<u64>(RESULT, result.delay, 24);
    }
  }
  return RESULT;
}

/** The end of a call. */
export function finish(): void {
  for (let i = 0; i < received.length; i++) heap.free(received[i]);
  received = [];
  held = [];
  __collect();
}

// ---- Sending ----

/** What may be said of a message that is sent; null and 0 are not said. */
export class Options {
  contentType: string | null = null;
  attributes: Map<string, string> | null = null;
  group: string | null = null;
  correlationId: string | null = null;
  replyTo: string | null = null;
  messageType: string | null = null;
  schemaVersion: string | null = null;
  dedupId: string | null = null;
  /** 0 to 9; -1 is not said. */
  priority: i32 = -1;
  /** In milliseconds. */
  delay: u64 = 0;
  ttl: u64 = 0;
}

/** The options with a group. */
export function inGroup(group: string): Options {
  const options = new Options();
  options.group = group;
  return options;
}

function putRequest(to: string, body: ArrayBuffer, contentType: string | null, options: Options | null): void {
  const said = options !== null ? options : new Options();
  memory.fill(REQUEST, 0, 144);
  putText(REQUEST, to);
  put(REQUEST + 8, body);
  putOption(REQUEST + 16, said.contentType !== null ? said.contentType : contentType);
  const attributes = said.attributes;
  if (attributes !== null) {
    const names = attributes.keys();
    const list = new ArrayBuffer(16 * names.length);
    for (let i = 0; i < names.length; i++) {
      putText(changetype<usize>(list) + 16 * i, names[i]);
      putText(changetype<usize>(list) + 16 * i + 8, attributes.get(names[i]));
    }
    held.push(list);
    store<usize>(REQUEST, changetype<usize>(list), 28);
    store<usize>(REQUEST, names.length, 32);
  }
  putOption(REQUEST + 36, said.group);
  putOption(REQUEST + 48, said.correlationId);
  putOption(REQUEST + 60, said.replyTo);
  putOption(REQUEST + 72, said.messageType);
  putOption(REQUEST + 84, said.schemaVersion);
  if (said.priority >= 0) {
    store<u8>(REQUEST, 1, 96);
    store<u8>(REQUEST, <u8>said.priority, 97);
  }
  putOption(REQUEST + 100, said.dedupId);
  putNumber(REQUEST + 112, said.delay);
  putNumber(REQUEST + 128, said.ttl);
}

function sendProblem(to: string): string | null {
  if (!load<u8>(RESULT)) return null;
  switch (load<u8>(RESULT, 8)) {
    case 0: return `cannot send to "${to}": there is no such queue, or this handler may not send to it; grant it in the configuration of the handler`;
    case 1: return "cannot reply: the sender named no queue for an answer, or the message is not the one in hand";
    case 2: return `the body is too large to send: the queue takes at most ${load<u64>(RESULT, 16)} bytes`;
    case 3: return "this delivery has sent as many messages or bytes as it may: raise the limit in the configuration of the handler, or leave the rest to a message sent to its own queue";
    default: return "the message cannot be sent: " + textAt(RESULT + 16);
  }
}

/** Sends JSON with the acknowledgement of this delivery. Returns null, or why not: return that as a retry. */
export function sendJson(queue: string, json: string, options: Options | null = null): string | null {
  putRequest(queue, String.UTF8.encode(json), "application/json", options);
  producer_send(REQUEST, RESULT);
  return sendProblem(queue);
}

/** As sendJson, with text. */
export function sendText(queue: string, text: string, options: Options | null = null): string | null {
  putRequest(queue, String.UTF8.encode(text), "text/plain; charset=utf-8", options);
  producer_send(REQUEST, RESULT);
  return sendProblem(queue);
}

/** As sendJson, with bytes. */
export function sendBytes(queue: string, bytes: Uint8Array, options: Options | null = null): string | null {
  putRequest(queue, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength), null, options);
  producer_send(REQUEST, RESULT);
  return sendProblem(queue);
}

/** Answers, with JSON, to the queue that the sender named. */
export function replyJson(to: Message, json: string, options: Options | null = null): string | null {
  putRequest(to.id, String.UTF8.encode(json), "application/json", options);
  producer_reply(REQUEST, RESULT);
  return sendProblem(to.id);
}

// ---- State ----

function stateProblem(key: string): string | null {
  if (!load<u8>(RESULT)) return null;
  switch (load<u8>(RESULT, 8)) {
    case 0: return `a state key must have 1 to 512 bytes, but this one has ${String.UTF8.byteLength(key)}`;
    case 1: return `the value for state key "${key}" is too large: at most ${load<u64>(RESULT, 16)} bytes are allowed`;
    case 2: return "the state of this handler is full, or this delivery has touched as many keys or bytes as it may: raise the limit in the configuration of the handler";
    case 3: return `state key "${key}" holds no counter: it was set, not added to; use another key, or remove it first`;
    default: return "the state is unavailable: " + textAt(RESULT + 16);
  }
}

/** Durable keys and values, private to the handler. What fails returns why, as sendJson does. */
export namespace state {
  /** What was wrong with the last get. */
  export let problem: string | null = null;

  /** The value of a key, or null: there is none, or `problem` says why. */
  export function get(key: string): Uint8Array | null {
    const name = String.UTF8.encode(key);
    state_get(changetype<usize>(name), name.byteLength, RESULT);
    problem = stateProblem(key);
    if (problem !== null || !load<u8>(RESULT, 8)) return null;
    return bytesAt(RESULT + 12);
  }

  export function set(key: string, value: Uint8Array): string | null {
    const name = String.UTF8.encode(key);
    state_set(changetype<usize>(name), name.byteLength, value.dataStart, value.byteLength, RESULT);
    return stateProblem(key);
  }

  export function remove(key: string): string | null {
    const name = String.UTF8.encode(key);
    state_remove(changetype<usize>(name), name.byteLength, RESULT);
    return stateProblem(key);
  }

  /** Adds to a counter, which starts at 0. Deliveries that only add do not disturb each other. */
  export function add(key: string, delta: i64): string | null {
    const name = String.UTF8.encode(key);
    state_add(changetype<usize>(name), name.byteLength, delta, RESULT);
    return stateProblem(key);
  }
}

// ---- The rest ----

/** A secret that was granted to the handler. */
export function secret(name: string): string | null {
  const text = String.UTF8.encode(name);
  secrets_get(changetype<usize>(text), text.byteLength, RESULT);
  return optionAt(RESULT);
}

/** Why the attempt before this one failed. */
export function previousFailure(): string | null {
  delivery_previous_failure(RESULT);
  return optionAt(RESULT);
}

/** Whether to wind up early. */
export function ending(): bool {
  return delivery_ending() != 0;
}

/** Writes a line to standard output, which the host keeps with the delivery. */
export function log(line: string): void {
  fd_write(1, line + "\n");
}
