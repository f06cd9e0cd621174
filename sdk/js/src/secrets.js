// Secrets granted to the handler in the configuration of the host.
import { host } from "./host.js";

/** The secret of this name, or `null` if none was granted. Never put it into a message, a log line or a reason. */
export function get(name) {
  return host("secrets").get(name) ?? null;
}
