import assert from "node:assert/strict";
import { test } from "node:test";
import { delivery, openBody, postpone, reject, reply, retry, retryAfter, secrets, send, SendError, state, transaction } from "gristmill";
import { Delivery } from "gristmill/testing";

const failing = (thrown) => () => { throw thrown; };

import { batchHandlerOf, handlerOf } from "../src/entry.js";
test("what a handler throws says what becomes of the message", () => {
  const table = [
    [reject("never"), { kind: "reject", reason: "never" }],
    [retry("later"), { kind: "retry", reason: "later" }],
    [retryAfter("busy", "30s"), { kind: "retry-after", reason: "busy", delay: 30_000 }],
    [postpone(1500), { kind: "postpone", delay: 1500 }],
    ["a text", { kind: "retry", reason: "thrown: a text" }],
    [{ status: 503 }, { kind: "retry", reason: 'thrown: {"status":503}' }],
    [undefined, { kind: "retry", reason: "thrown: undefined" }],
  ];
  for (const [thrown, expected] of table) {
    assert.deepEqual(new Delivery().run(failing(thrown)), expected);
  }
});

test("an error is a retry with its stack and its causes", () => {
  const cause = new TypeError("no route");
  const { kind, reason } = new Delivery().run(() => { throw new Error("cannot store", { cause }); });
  assert.equal(kind, "retry");
  assert.match(reason, /^Error: cannot store\n\s+at .*handlers\.test\.js:\d+/);
  assert.match(reason, /\ncaused by: TypeError: no route\n/);
});

test("a reason has at most 4 KiB and is cut between characters", () => {
  const { reason } = new Delivery().run(failing(reject("é".repeat(4095))));
  assert.equal(reason, "é".repeat(2048));
  assert.equal(new Delivery().run(failing(reject(`x${"é".repeat(4095)}`))).reason, `x${"é".repeat(2047)}`);
});

test("effects count if the handler returns, and are dropped if it throws", () => {
  const host = new Delivery();
  const handle = (message) => {
    state.add("seen", 1);
    send("out", { attempt: message.attempt });
    if (message.attempt < 2) throw new Error("not yet");
  };
  assert.equal(host.run(handle).kind, "retry");
  assert.deepEqual([host.sent(), host.keys()], [[], []]);
  assert.deepEqual(host.run(handle, { attempt: 2 }), { kind: "done" });
  assert.equal(host.counter("seen"), 1);
  assert.deepEqual(host.sent("out")[0].json(), { attempt: 2 });
});

test("a body that is not what is read is rejected", () => {
  assert.match(new Delivery().run((m) => m.json(), { text: '{"a":' }).reason, /^the body is not JSON: /);
  assert.deepEqual(new Delivery().run((m) => m.text(), { body: Uint8Array.of(0xff) }), { kind: "reject", reason: "the body is not UTF-8 text" });
  const host = new Delivery();
  host.run((m) => state.setJson("read", [m.text(), m.attributes, m.type]), { text: "ö", attributes: { "naïve ключ": "数" }, type: "a.b" });
  assert.deepEqual(host.stateJson("read"), ["ö", { "naïve ключ": "数" }, "a.b"]);
});

test("what is sent brings its content type, and options the rest", () => {
  const host = new Delivery();
  host.run(() => {
    send("q", "text");
    send("q", Uint8Array.of(1, 2));
    send("q", null);
    send("q", { a: 1 }, { group: "g", delay: "1m", ttl: "1h", priority: 9, attributes: { n: 5 }, type: "t", contentType: "x/y" });
  });
  assert.deepEqual(host.sent().map((sent) => sent.contentType), ["text/plain; charset=utf-8", null, "application/json", "x/y"]);
  const { group, delay, ttl, priority, attributes, type } = host.sent()[3];
  assert.deepEqual({ group, delay, ttl, priority, attributes, type }, { group: "g", delay: 60_000, ttl: 3_600_000, priority: 9, attributes: { n: "5" }, type: "t" });
});

test("what cannot be sent says why", () => {
  const host = new Delivery().allow("small", 3);
  const table = [
    [() => send("other", ""), /cannot send to "other": there is no such queue/],
    [() => send("small", "four"), /too large to send: the queue takes at most 3 bytes/],
    [() => send("small", "", { group: "" }), /group must have 1 to 1024 bytes, but has 0/],
    [() => send("small", "", { ttl: 5, delay: 5 }), /would expire before it is due/],
    [() => send("small", "", { attributes: { "gristmill-x": "" } }), /is reserved/],
    [() => send("small", "", { priority: 10 }), /0 to 9/],
    [() => send("small", "", { grup: "a" }), /no option "grup"/],
    [() => send("small", "", { delay: "soon" }), /delay must be a number of milliseconds or a text such as "30s"/],
    [() => send("small", () => 1), /a function cannot be sent/],
    [() => { for (let i = 0; i <= 100; i += 1) send("small", ""); }, /as many messages or bytes as it may/],
    [(message) => reply(message, ""), /the sender named no queue/],
  ];
  for (const [handle, expected] of table) {
    const { kind, reason } = host.run(handle);
    assert.equal(kind, "retry");
    assert.match(reason, expected);
  }
  host.run(() => {
    try { send("other", ""); } catch (error) { state.setJson("caught", [error instanceof SendError, error.code]); }
  });
  assert.deepEqual(host.stateJson("caught"), [true, "not-permitted"]);
});

test("a reply goes to whoever asked and is tied to the question", () => {
  const host = new Delivery();
  host.run((message) => reply(message, "yes"), { replyTo: "answers", correlationId: "c-1" });
  const [{ to, correlationId, isReply }] = host.sent();
  assert.deepEqual({ to, correlationId, isReply }, { to: "answers", correlationId: "c-1", isReply: true });
});

test("state is read, written, counted and listed", () => {
  const host = new Delivery().setState("a", { n: 1 }).setCounter("count", 5);
  const outcome = host.run(() => {
    state.setJson("b", { seen: state.getJson("a").n });
    state.set("c", "text");
    state.add("count", -7);
    state.remove("a");
    if (state.get("a") !== null || state.getText("c") !== "text" || state.counter("count") !== -2) throw new Error("not read back");
    state.setJson("keys", [...state.keys()]);
  });
  assert.deepEqual(outcome, { kind: "done" });
  assert.deepEqual(host.stateJson("b"), { seen: 1 });
  assert.deepEqual(host.stateJson("keys"), ["b", "c", "count"]);
  assert.equal(host.counter("count"), -2);
});

test("the state refuses what the host refuses", () => {
  const table = [
    [() => state.get(""), /1 to 512 bytes, but this one has 0/],
    [() => state.get("é".repeat(257)), /but this one has 514/],
    [() => state.set("k", new Uint8Array(256 * 1024 + 1)), /too large: at most 262144 bytes/],
    [() => { state.set("k", "x"); state.add("k", 1); }, /holds no counter/],
    [() => { for (let i = 0; i <= 1000; i += 1) state.get(`k${i}`); }, /as many keys or bytes as it may/],
    [() => { for (let i = 0; i <= 16; i += 1) state.set(`k${i}`, new Uint8Array(256 * 1024)); }, /as many keys or bytes/],
    [() => { for (let i = 0; i <= 10_000; i += 1) state.page("", null, 1); }, /as many keys or bytes/],
    [() => state.add("k", 0.5), /a whole number/],
    [() => state.set("k", 5), /state\.setJson/],
  ];
  for (const [handle, expected] of table) {
    const { kind, reason } = new Delivery().run(handle);
    assert.equal(kind, "retry");
    assert.match(reason, expected);
  }
});

test("many keys are listed in pages and in byte order", () => {
  const host = new Delivery();
  for (let i = 0; i < 250; i += 1) host.setState(`k/${String(i).padStart(3, "0")}`, "x");
  host.setState("k/ｚ", "x").setState("k/𝄞", "x").setState("l", "x");
  host.run(() => state.setJson("found", [...state.keys("k/")]));
  const found = host.stateJson("found");
  assert.equal(found.length, 252);
  assert.deepEqual(found.slice(-2), ["k/ｚ", "k/𝄞"]);
});

test("a rollback forgets what was sent and stored since the mark", () => {
  const host = new Delivery();
  host.run(() => {
    state.set("kept", "1");
    const before = transaction.mark();
    state.set("kept", "2");
    send("q", "forgotten");
    transaction.rollback(before);
    send("q", "kept");
  });
  assert.deepEqual([new TextDecoder().decode(host.state("kept")), host.sent().map((sent) => sent.text())], ["1", ["kept"]]);
  assert.match(host.run(() => transaction.rollback(7)).reason, /no such mark/);
});

test("a delivery tells what is known about it", () => {
  const host = new Delivery().setRemaining("5s", "1m").setPreviousFailure("it rained").setSecret("key", "s3");
  host.run(() => {
    delivery.progress(40, "almost");
    state.setJson("seen", [
      delivery.remaining(), delivery.extend("20s"), delivery.maxAttempts(), delivery.previousFailure(),
      delivery.ending(), secrets.get("key"), secrets.get("other"),
    ]);
  });
  assert.deepEqual(host.stateJson("seen"), [5000, 20_000, 10, "it rained", false, "s3", null]);
  assert.deepEqual(host.progress(), { percent: 40, note: "almost" });
  assert.match(host.run(() => delivery.extend("2m")).reason, /raise max_timeout/);
});

test("a large body is read piece by piece and is not in the message", () => {
  const host = new Delivery();
  const outcome = host.run((message) => {
    const reader = openBody(message);
    let read = 0;
    for (const piece of reader) read += piece.length;
    state.setJson("seen", [message.body.length, reader.size, read, [...reader.read(200_000, 9)]]);
  }, { large: Uint8Array.from({ length: 200_003 }, (_, i) => i % 251) });
  assert.deepEqual(outcome, { kind: "done" });
  assert.deepEqual(host.stateJson("seen"), [0, 200_003, 200_003, [0, 1, 2].map((i) => (200_000 + i) % 251)]);
});

test("a promise is not waited for, and that is said", () => {
  assert.match(new Delivery().run(async () => {}).reason, /returned a promise/);
});

test("outside of a delivery nothing can be used", () => {
  assert.throws(() => send("q", ""), /only while a message is handled/);
  assert.match(new Delivery().run(() => new Delivery().run(() => {})).reason, /already running/);
});

test("a batch has an outcome for each message, and one that is done keeps the effects of all", () => {
  const host = new Delivery();
  const handleBatch = (messages) => messages.map((message) => {
    const { cents } = message.json();
    if (cents === 0) return reject("nothing");
    if (cents < 0) return retryAfter("later", "5s");
    state.add("cents", cents);
  });
  const outcomes = host.runBatch(handleBatch, [{ json: { cents: 5 } }, { json: { cents: 0 } }, { json: { cents: -1 } }]);
  assert.deepEqual(outcomes, [
    { kind: "done" }, { kind: "reject", reason: "nothing" }, { kind: "retry-after", reason: "later", delay: 5000 },
  ]);
  assert.equal(host.counter("cents"), 5);
  const none = (messages) => { state.add("cents", 1); return messages.map(() => new Error("no")); };
  assert.deepEqual(host.runBatch(none, [{}, {}]).map(({ kind }) => kind), ["retry", "retry"]);
  assert.equal(host.counter("cents"), 5, "nobody was done");
  assert.deepEqual(host.runBatch(() => {}, [{}, {}]), [{ kind: "done" }, { kind: "done" }]);
});

test("a batch whose outcomes make no sense throws, and so does one that throws", () => {
  const host = new Delivery();
  for (const [handleBatch, words] of [
    [() => [undefined], /returned 1 outcomes for 2 messages/],
    [() => true, /must return nothing if all messages are done, or a list/],
    [() => [undefined, "no"], /outcome 1 of `handleBatch` is neither nothing/],
    [() => { throw new Error("no database"); }, /no database/],
    [async () => {}, /returned a promise/],
  ]) {
    assert.throws(() => host.runBatch(handleBatch, [{}, {}]), words);
    assert.equal(host.run(() => {}).kind, "done", "the next delivery runs");
  }
  const alone = host.runBatch(() => { throw reject("no"); }, [{}]);
  assert.deepEqual(alone, [{ kind: "reject", reason: "no" }], "there is no doubt whose fault it is");
});

test("each message of a batch can be handled as if it came alone", () => {
  const handleBatch = transaction.each((message) => {
    state.add("seen", 1);
    send("next", message.text());
    if (message.text() === "bad") throw reject("bad");
    if (message.text() === "odd") throw "odd";
  });
  const host = new Delivery();
  const outcomes = host.runBatch(handleBatch, [{ text: "a" }, { text: "bad" }, { text: "odd" }, { text: "b" }]);
  assert.deepEqual(outcomes.map(({ kind }) => kind), ["done", "reject", "retry", "done"]);
  assert.equal(host.counter("seen"), 2);
  assert.deepEqual(host.sent("next").map((sent) => sent.text()), ["a", "b"]);
});

test("a batch may do as much as its messages may together, and not know why one of them failed before", () => {
  const host = new Delivery().setPreviousFailure("it rained");
  const handleBatch = (messages) => {
    for (let i = 0; i < 100 * messages.length; i += 1) send("next", "x");
    assert.throws(() => send("next", "x"), { code: "too-many" });
    assert.equal(delivery.previousFailure(), null);
  };
  host.runBatch(handleBatch, [{ id: "1" }, { id: "2" }]);
  assert.equal(host.sent().length, 200);
});

test("a handler may take batches, single messages, or both", () => {
  const record = (text) => ({ body: new TextEncoder().encode(text), attributes: [], enqueuedAt: 0n });
  const batches = { handleBatch: (messages) => messages.map((message) => (message.text() === "ok" ? undefined : reject("no"))) };
  const { handle } = handlerOf(batches, {});
  assert.equal(handle(record("ok")), undefined);
  assert.throws(() => handle(record("bad")), { tag: "reject", val: "no" });
  assert.deepEqual(batchHandlerOf(batches).handleBatch([record("ok"), record("bad")]), [
    { tag: "done" }, { tag: "failed", val: { tag: "reject", val: "no" } },
  ]);
  const both = handlerOf({ ...batches, handle: () => { throw reject("alone"); } }, {});
  assert.throws(() => both.handle(record("ok")), { tag: "reject", val: "alone" });
  assert.throws(() => handlerOf({ handleBatch: async () => {} }, {}), /`handleBatch` must not be async/);
  assert.throws(() => handlerOf({ handle: 1, handleBatch: () => {} }, {}), /exports no function `handle`/);
  assert.throws(() => handlerOf({ other: 1 }, {}), /exports no function `handle` \(it exports other\)/);
});
