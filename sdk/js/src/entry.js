// What stands between the component's exports and the function of the user.
//
// The build and the host make an entry of each handler, which is all that knows of the component:
//
//     import "gristmill/globals";
//     import { handlerOf, batchHandlerOf } from "gristmill/entry";
//     import producer from "gristmill:queue/producer@0.1.0";      // what index.js says is used, and no more
//     import environment from "wasi:cli/environment@0.2.0";       // these four always
//     import stdout from "wasi:cli/stdout@0.2.0";
//     import stderr from "wasi:cli/stderr@0.2.0";
//     import random from "wasi:random/random@0.2.0";
//     import * as user from "./orders.js";
//     export const handler = handlerOf(user, { producer, environment, stdout, stderr, random });
//     export const batchHandler = batchHandlerOf(user);           // if it exports `handleBatch`
import { alone, outcomesOf } from "./batch.js";
import { describe, toWit } from "./failure.js";
import { bind, setRunning } from "./host.js";
import { Message } from "./message.js";

export { setTable } from "./trace.js";

/** The export `handler`, made of a module of the user. Throws, and so fails the build, if it cannot be one. */
export function handlerOf(module, interfaces) {
  const { handle, handleBatch } = module;
  if (typeof handle !== "function" && (handle !== undefined || typeof handleBatch !== "function")) {
    const there = Object.keys(module).join(", ") || "nothing";
    throw new Error(
      `the module exports no function \`handle\` (it exports ${there}): write \`export function handle(message) { … }\``,
    );
  }
  for (const [name, work] of Object.entries({ handle, handleBatch })) {
    if (work?.constructor.name === "AsyncFunction") {
      throw new Error(`\`${name}\` must not be async: a message is handled when it returns, and nothing here has to be awaited`);
    }
  }
  bind(interfaces);
  const one = handle ?? alone(handleBatch);
  return { handle: (record) => run(one, record) };
}

/** The export `batchHandler`. The host takes it for one only if the module exports `handleBatch`. */
export function batchHandlerOf({ handleBatch }) {
  return { handleBatch: (records) => runBatch(handleBatch, records) };
}

/**
 * Handles several messages. Returns an outcome for each; if it throws, the host delivers them one by one, and
 * finds what was thrown in the output.
 */
export function runBatch(handleBatch, records) {
  setRunning(true);
  try {
    if (typeof handleBatch !== "function") {
      throw new Error("the module exports no function `handleBatch`: write `export function handleBatch(messages) { … }`");
    }
    return outcomesOf(handleBatch, records.map((record) => new Message(record)));
  } catch (thrown) {
    console.error(describe(thrown));
    throw thrown;
  } finally {
    setRunning(false);
  }
}

/** Handles one message. What is thrown is a value of the interface, which says what is to happen with it. */
export function run(handle, record) {
  setRunning(true);
  try {
    const result = handle(new Message(record));
    if (typeof result?.then === "function") {
      throw new Error("`handle` returned a promise: a message is handled when it returns, and nothing here has to be awaited");
    }
  } catch (thrown) {
    throw toWit(thrown);
  } finally {
    setRunning(false);
  }
}
