// One run of a handler against the fake: the interfaces of the host, with its rules.
import { Held, bytesOf } from "./held.js";
import * as limits from "./limits.js";

export class Attempt {
  /** `setup` is what the test says of every delivery, `messages` are those delivered, each with its whole body. */
  constructor(setup, state, ids, messages) {
    this.setup = { ...setup };
    // In a batch there is no telling whose it would be.
    if (messages.length > 1) this.setup.previousFailure = null;
    this.held = new Held(state, messages.length);
    this.ids = ids;
    this.progress = null;
    this.records = messages.map(([record]) => record);
    this.bodies = new Map(messages.map(([{ id }, body]) => [id, body]));
  }

  interfaces() {
    const { held, setup } = this;
    return {
      producer: {
        send: (to, message) => this.#send(to, message),
        reply: (to, message) => this.#reply(to, message),
      },
      state: {
        get: (key) => held.get(key),
        set: (key, value) => held.set(key, value),
        remove: (key) => held.remove(key),
        add: (key, delta) => held.add(key, delta),
        listKeys: (prefix, after, limit) => held.listKeys(prefix, after, limit),
      },
      transaction: { mark: () => held.mark(), rollbackTo: (mark) => held.rollbackTo(mark) },
      delivery: {
        remaining: () => setup.remaining,
        extend: (need) => this.#extend(need),
        ending: () => setup.ending,
        progress: (percent, note) => { this.progress = { percent, note }; },
        maxAttempts: () => setup.maxAttempts,
        previousFailure: () => setup.previousFailure,
      },
      secrets: { get: (name) => setup.secrets.get(name) ?? null },
      body: {
        size: (of) => this.#bodyOf(of).length,
        read: (of, offset, most) => this.#bodyOf(of).slice(offset, offset + Math.min(most, 1024 * 1024)),
      },
    };
  }

  #send(to, message) {
    const { queues } = this.setup;
    if (queues && !queues.has(to)) throw { tag: "not-permitted" };
    return this.#hold(to, queues?.get(to) ?? limits.MAX_BODY, message, false);
  }

  #reply(to, message) {
    const { id, replyTo, correlationId } = this.records.find((record) => record.id === to) ?? { replyTo: null };
    if (replyTo === null) throw { tag: "no-recipient" };
    const tied = { ...message, correlationId: message.correlationId ?? correlationId ?? id };
    return this.#hold(replyTo, this.setup.queues?.get(replyTo) ?? limits.MAX_BODY, tied, true);
  }

  #hold(to, maxBody, message, isReply) {
    const size = message.body.length;
    if (size > maxBody) throw { tag: "too-large", val: maxBody };
    const problem = problemOf(message);
    if (problem) throw { tag: "invalid", val: problem };
    if (!this.held.hasRoomFor(size)) throw { tag: "too-many" };
    this.ids += 1;
    const id = `00000000-0000-7000-9000-${this.ids.toString(16).padStart(12, "0")}`;
    this.held.push({ ...message, to, id, isReply });
    return id;
  }

  #extend(need) {
    const { setup } = this;
    if (setup.ending) throw "ending";
    if (need > setup.maxRemaining) throw "limit-reached";
    setup.remaining = Math.max(setup.remaining, need);
    return setup.remaining;
  }

  #bodyOf(id) {
    if (!this.bodies.has(id)) throw { tag: "not-delivered" };
    return this.bodies.get(id);
  }
}

/** Which rule for the envelope of a message is broken. */
function problemOf(message) {
  const fields = {
    content_type: message.contentType, group: message.group, correlation_id: message.correlationId,
    type: message.messageType, schema_version: message.schemaVersion, dedup_id: message.dedupId,
  };
  for (const [field, value] of Object.entries(fields)) {
    if (value === null) continue;
    const size = bytesOf(value).length;
    if (size === 0 || size > limits.MAX_ENVELOPE_FIELD) {
      return `${field} must have 1 to ${limits.MAX_ENVELOPE_FIELD} bytes, but has ${size}`;
    }
    if (/\p{Cc}/u.test(value)) return `${field} must not contain control characters`;
  }
  const { priority, ttl, delay } = message;
  if (priority !== null && !(Number.isInteger(priority) && priority >= 0 && priority <= 9)) {
    return "the priority must be 0 to 9";
  }
  if (ttl === 0) return "ttl must be at least 1 ms";
  if (ttl !== null && ttl <= (delay ?? 0)) return "the message would expire before it is due";
  return problemOfAttributes(message.attributes);
}

function problemOfAttributes(attributes) {
  const size = attributes.reduce((sum, [name, value]) => sum + bytesOf(name).length + bytesOf(value).length, 0);
  if (attributes.length > limits.MAX_ATTRIBUTES || size > limits.MAX_ATTRIBUTE_BYTES) {
    return "a message has at most 64 attributes of 64 KiB together";
  }
  for (const [name] of attributes) {
    const quoted = JSON.stringify(name);
    const long = name === "" || bytesOf(name).length > limits.MAX_ATTRIBUTE_NAME;
    if (long || /\p{Cc}/u.test(name)) {
      return `attribute name ${quoted} must have 1 to 256 bytes and no control characters`;
    }
    if (name.startsWith(limits.RESERVED_ATTRIBUTE_PREFIX)) return `attribute name ${quoted} is reserved`;
  }
  return null;
}
