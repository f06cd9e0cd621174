// The message that a handler is called with.
import { reject } from "./failure.js";

/** A message as it is delivered. */
export class Message {
  /** Of a record of the interface. */
  constructor(record) {
    this.id = record.id;
    this.queue = record.queue;
    this.body = record.body instanceof Uint8Array ? record.body : Uint8Array.from(record.body);
    this.contentType = record.contentType ?? null;
    this.attributes = Object.fromEntries(record.attributes);
    this.group = record.group ?? null;
    this.correlationId = record.correlationId ?? null;
    this.causationId = record.causationId ?? null;
    this.replyTo = record.replyTo ?? null;
    this.type = record.messageType ?? null;
    this.schemaVersion = record.schemaVersion ?? null;
    this.source = record.source ?? null;
    this.priority = record.priority;
    this.trace = record.trace ?? null;
    this.enqueuedAt = new Date(Number(record.enqueuedAt));
    this.expiresAt = record.expiresAt == null ? null : new Date(Number(record.expiresAt));
    this.attempt = record.attempt;
  }

  /** The body as text; a body that is not UTF-8 is rejected, as no repetition would help. */
  text() {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.body);
    } catch {
      throw reject("the body is not UTF-8 text");
    }
  }

  /** The body as JSON; a body that is not JSON is rejected. */
  json() {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw reject(`the body is not JSON: ${error.message}`);
    }
  }
}
