// What a program expects to find and a small engine lacks: text in UTF-8, `console`, `process.env`, and
// random numbers that are not the same in every instance.
//
// A component holds a snapshot of the engine as it was when it was built. So nothing here asks the host
// before a message is handled, and the seed of `Math.random` is drawn anew then.
import { decode, encode } from "./utf8.js";
import { describe } from "./failure.js";
import { binding, isRunning } from "./host.js";

function wasi(name, what) {
  if (!isRunning()) throw new Error(`${what} can be used only while a message is handled, not while the module is built`);
  return binding()[name];
}

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}

if (typeof TextEncoder === "undefined") {
  define("TextEncoder", class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return encode(String(text)); }
  });
}

if (typeof TextDecoder === "undefined") {
  define("TextDecoder", class TextDecoder {
    #fatal;
    #keepMark;
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!/^(utf-?8|unicode-1-1-utf-8)$/i.test(label)) throw new RangeError(`only UTF-8 can be decoded here, not ${label}`);
      this.#fatal = fatal;
      this.#keepMark = ignoreBOM;
    }
    get encoding() { return "utf-8"; }
    decode(bytes = new Uint8Array()) {
      const view = ArrayBuffer.isView(bytes)
        ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        : new Uint8Array(bytes);
      const text = decode(view, this.#fatal);
      return !this.#keepMark && text.startsWith("\ufeff") ? text.slice(1) : text;
    }
  });
}

if (typeof console === "undefined") {
  const to = (stream) => (...values) => {
    // What the top level of a module says is said while it is built, to nobody.
    if (isRunning()) write(stream, `${values.map(shown).join(" ")}\n`);
  };
  const [out, err] = [to("stdout"), to("stderr")];
  define("console", { log: out, info: out, debug: out, warn: err, error: err, trace: err });
}

/** The most bytes that one write takes. */
const WRITE = 4096;

function write(name, text) {
  const stream = name === "stdout" ? binding().stdout?.getStdout() : binding().stderr?.getStderr();
  const bytes = encode(text);
  for (let at = 0; stream && at < bytes.length; at += WRITE) {
    stream.blockingWriteAndFlush(bytes.subarray(at, at + WRITE));
  }
  stream?.[Symbol.dispose]?.();
}

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return describe(value);
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value, (_, inner) => typeof inner === "bigint" ? `${inner}n` : inner);
  } catch {
    return String(value);
  }
}

if (typeof process === "undefined") {
  let known;
  const all = () => (known ??= Object.fromEntries(wasi("environment", "process.env").getEnvironment()));
  define("process", {
    env: new Proxy({}, {
      get: (_, name) => typeof name === "string" ? all()[name] : undefined,
      has: (_, name) => name in all(),
      ownKeys: () => Object.keys(all()),
      getOwnPropertyDescriptor: (_, name) => name in all()
        ? { value: all()[name], enumerable: true, configurable: true }
        : undefined,
    }),
  });
}

if (typeof crypto === "undefined") {
  const bytes = (count) => wasi("random", "crypto").getRandomBytes(count);
  define("crypto", {
    getRandomValues(array) {
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes(array.byteLength));
      return array;
    },
    randomUUID() {
      const id = bytes(16);
      id[6] = (id[6] & 0x0f) | 0x40;
      id[8] = (id[8] & 0x3f) | 0x80;
      const hex = Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  });
  // The engine's own was seeded when the component was built: every instance would draw the same numbers.
  const old = Math.random;
  let drawn = [];
  Math.random = () => {
    if (!isRunning()) return old();
    if (drawn.length === 0) {
      const words = new Uint32Array(128);
      drawn = Array.from(crypto.getRandomValues(words));
    }
    return ((drawn.pop() >>> 5) * 67108864 + ((drawn.pop() ?? 0) >>> 6)) / 9007199254740992;
  };
}
