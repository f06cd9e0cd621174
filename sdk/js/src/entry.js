// What stands between the component's exports and the function of the user.
//
// The build and the host make an entry of each handler, which is all that knows of the component:
//
//     import "gristmill/globals";
//     import { handlerOf } from "gristmill/entry";
//     import producer from "gristmill:queue/producer@0.1.0";      // what index.js says is used, and no more
//     import environment from "wasi:cli/environment@0.2.0";       // these four always
//     import stdout from "wasi:cli/stdout@0.2.0";
//     import stderr from "wasi:cli/stderr@0.2.0";
//     import random from "wasi:random/random@0.2.0";
//     import * as user from "./orders.js";
//     export const handler = handlerOf(user, { producer, environment, stdout, stderr, random });
import { toWit } from "./failure.js";
import { bind, setRunning } from "./host.js";
import { Message } from "./message.js";

export { setTable } from "./trace.js";

/** The export `handler`, made of a module of the user. Throws, and so fails the build, if it cannot be one. */
export function handlerOf(module, interfaces) {
  const { handle } = module;
  if (typeof handle !== "function") {
    const there = Object.keys(module).join(", ") || "nothing";
    throw new Error(
      `the module exports no function \`handle\` (it exports ${there}): write \`export function handle(message) { … }\``,
    );
  }
  if (handle.constructor.name === "AsyncFunction") {
    throw new Error("`handle` must not be async: a message is handled when it returns, and nothing here has to be awaited");
  }
  bind(interfaces);
  return { handle: (record) => run(handle, record) };
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
