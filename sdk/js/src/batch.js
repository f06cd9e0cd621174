// Handlers of several messages at once, and what they return.
import { describe, retry, toWit } from "./failure.js";

/**
 * What `handleBatch` returned, for so many messages: for each `undefined` if it is done, or the error that says
 * why it is not.
 */
export function verdicts(returned, count) {
  if (typeof returned?.then === "function") {
    throw new Error("`handleBatch` returned a promise: messages are handled when it returns, and nothing here has to be awaited");
  }
  if (returned === undefined) return new Array(count).fill(undefined);
  if (!Array.isArray(returned)) {
    throw new TypeError("`handleBatch` must return nothing if all messages are done, or a list with an outcome for each");
  }
  if (returned.length !== count) {
    throw new RangeError(
      `\`handleBatch\` returned ${returned.length} outcomes for ${count} messages: return one for each, in their order`,
    );
  }
  return Array.from(returned, (outcome, at) => {
    if (outcome === undefined || outcome === null) return undefined;
    if (outcome instanceof Error) return outcome;
    throw new TypeError(
      `outcome ${at} of \`handleBatch\` is neither nothing, for a message that is done, nor an error such as reject("why")`,
    );
  });
}

/** The outcomes of a batch, as the interface has them. */
export function outcomesOf(handleBatch, messages) {
  let failures;
  try {
    failures = verdicts(handleBatch(messages), messages.length);
  } catch (thrown) {
    // With one message there is no doubt whose fault it is. With more the host delivers them one by one.
    if (messages.length !== 1) throw thrown;
    failures = [thrown instanceof Error ? thrown : retry(describe(thrown))];
  }
  return failures.map((failure) => (failure === undefined ? { tag: "done" } : { tag: "failed", val: toWit(failure) }));
}

/** A handler of one message, of one of several. */
export function alone(handleBatch) {
  return (message) => {
    const [failure] = verdicts(handleBatch([message]), 1);
    if (failure !== undefined) throw failure;
  };
}
