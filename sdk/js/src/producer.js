// Sending messages with the ack of the delivery.
import { milliseconds } from "./duration.js";
import { call, host } from "./host.js";

/** Why a message cannot be sent. Not caught, it becomes a retry: what is missing is cured in the configuration. */
export class SendError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "SendError";
    /** "not-permitted", "no-recipient", "too-large", "too-many" or "invalid". */
    this.code = code;
  }
}

/**
 * Sends a message to a queue or topic, with the ack of this delivery: if the message in hand is not
 * acknowledged, nothing is sent. Text is sent as text, bytes as they are, any other value as JSON.
 * Returns the id.
 */
export function send(queue, value, options = {}) {
  const outgoing = outgoingOf(value, options);
  return call(
    () => host("producer").send(queue, outgoing),
    (error) => sendError(error, queue),
  );
}

/** Answers to the queue that the sender of `message` named; otherwise as `send`. */
export function reply(message, value, options = {}) {
  const outgoing = outgoingOf(value, options);
  return call(
    () => host("producer").reply(message.id, outgoing),
    (error) => sendError(error, ""),
  );
}

const OPTIONS = [
  "contentType", "attributes", "group", "correlationId", "replyTo", "type", "schemaVersion", "priority",
  "dedupId", "delay", "ttl",
];

function outgoingOf(value, options) {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) {
      throw new TypeError(`there is no option ${JSON.stringify(name)} of a message; there are ${OPTIONS.join(", ")}`);
    }
  }
  const [body, contentType] = bodyOf(value);
  const duration = (name) => options[name] == null ? null : milliseconds(options[name], name);
  return {
    body,
    contentType: options.contentType ?? contentType,
    attributes: Object.entries(options.attributes ?? {}).map(([name, value]) => [name, String(value)]),
    group: options.group ?? null,
    correlationId: options.correlationId ?? null,
    replyTo: options.replyTo ?? null,
    messageType: options.type ?? null,
    schemaVersion: options.schemaVersion ?? null,
    priority: options.priority ?? null,
    dedupId: options.dedupId ?? null,
    delay: duration("delay"),
    ttl: duration("ttl"),
  };
}

function bodyOf(value) {
  if (typeof value === "string") return [new TextEncoder().encode(value), "text/plain; charset=utf-8"];
  if (value instanceof Uint8Array) return [value, null];
  if (value instanceof ArrayBuffer) return [new Uint8Array(value), null];
  const json = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`a ${typeof value} cannot be sent: it is neither text, nor bytes, nor JSON`);
  return [new TextEncoder().encode(json), "application/json"];
}

function sendError({ tag, val }, queue) {
  switch (tag) {
    case "not-permitted":
      return new SendError(tag, queue === ""
        ? "this handler may not reply: allow it in the configuration of the handler"
        : `cannot send to ${JSON.stringify(queue)}: there is no such queue, or this handler may not send to it; grant it in the configuration of the handler`);
    case "no-recipient":
      return new SendError(tag, "cannot reply: the sender named no queue for an answer, or the message is not the one in hand");
    case "too-large":
      return new SendError(tag, `the body is too large to send: the queue takes at most ${val} bytes`);
    case "too-many":
      return new SendError(tag, "this delivery has sent as many messages or bytes as it may: raise the limit in the configuration of the handler, or leave the rest to a message sent to its own queue");
    default:
      return new SendError(tag, `the message cannot be sent: ${val}`);
  }
}
