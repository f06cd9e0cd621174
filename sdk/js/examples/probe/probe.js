// A fixture for the suite that compares the languages; handlers/probe says what it has to do.
import { send } from "gristmill";

export function handle(message) {
  const { type, body, contentType, attributes, group, correlationId } = message;
  if (type === "fail") throw new RangeError("the probe fails, as it was asked to");
  if (type === "crash") return undefined.length;
  send("echoes", body, { contentType, attributes, group, correlationId });
}
