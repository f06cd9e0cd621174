// What a handler imports from "gristmill".
//
// Each line names the file that a name comes from, and the name of a file is that of the interface it
// uses: a handler that imports `send` uses `producer`. The build and the host read this file to find out
// which interfaces a component imports, and so what has to be granted to it. Keep one line to a file.
export { reject, retry, retryAfter, postpone, Failure } from "./failure.js";
export { send, reply, SendError } from "./producer.js";
export * as state from "./state.js";
export * as transaction from "./transaction.js";
export * as delivery from "./delivery.js";
export * as secrets from "./secrets.js";
export { openBody } from "./body.js";
