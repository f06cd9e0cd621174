import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../src/utf8.js";
import { lineTable, translator } from "../lines.js";
import { setTable, translate } from "../src/trace.js";

// What the small engine has, and this one may not.
Uint8Array.fromBase64 ??= (text) => Uint8Array.from(Buffer.from(text, "base64"));
Uint8Array.prototype.toBase64 ??= function () { return Buffer.from(this).toString("base64"); };
String.prototype.toWellFormed ??= function () { return new TextDecoder().decode(new TextEncoder().encode(this)); };

test("text goes to bytes and back as it does in Node", () => {
  for (const text of ["", "plain", "Zoë–数🦀", "\ud800 alone", "\0\x7f\x80", "x".repeat(100_000)]) {
    assert.deepEqual(encode(text), new TextEncoder().encode(text));
    assert.equal(decode(encode(text), true), new TextDecoder().decode(encode(text)));
  }
});

test("what is no UTF-8 is decoded as Node does it, or refused", () => {
  const interesting = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff];
  const [lossy, strict] = [new TextDecoder("utf-8", { ignoreBOM: true }), new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })];
  let seed = 1854;
  const dice = (sides) => (seed = (seed * 48271) % 2147483647) % sides;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Uint8Array.from({ length: 1 + dice(6) }, () => interesting[dice(interesting.length)]);
    assert.equal(decode(bytes, false), lossy.decode(bytes), String(bytes));
    let fine = true;
    try { strict.decode(bytes); } catch { fine = false; }
    if (fine) assert.equal(decode(bytes, true), strict.decode(bytes));
    else assert.throws(() => decode(bytes, true), TypeError, String(bytes));
  }
});

test("a line of a bundle leads to the line it comes from", () => {
  // Nothing; source 0, line 1; source 1, line 17; the same.
  assert.deepEqual(lineTable(";AAAA;ACgBA,SAAS;;AAAA"), [null, null, [0, 1], [1, 17], null, [1, 17]]);
  const translate = translator("orders.js", { mappings: ";AAAA;ACgBA", sources: ["a.ts", "b.ts"] });
  assert.equal(translate("at charge (/orders.js:3:7)\n at x (/orders.js:1:2)"), "at charge (b.ts:17)\n at x (/orders.js:1:2)");
});

test("a stack tells of the source files, and not of the SDK", () => {
  const stack = "    at charge (/orders.js:3:95)\n    at <anonymous> (/orders.js:3:1)\n    at run (/orders.js:4:40)\n    at JSON.parse (native)";
  assert.equal(translate("    at handle (/plain.js:5:9)\n    at run (/gristmill/entry.js:30:5)"), "    at handle (plain.js:5:9)");
  setTable({ name: "orders.js", sources: ["src/orders.ts", ""], lines: [null, null, null, [0, 17], [1, 3]] });
  assert.equal(translate(stack), "    at charge (src/orders.ts:17)\n    at <anonymous> (src/orders.ts:17)\n    at JSON.parse (native)");
  setTable(null);
});
