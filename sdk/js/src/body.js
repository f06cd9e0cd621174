// Reading a body piece by piece, for those that are too large for the handler's memory.
import { call, host } from "./host.js";

/** Bytes that are asked of the host at once. */
const PIECE = 64 * 1024;

/**
 * Reads the body of a message piece by piece, however large it is. A handler that imports this gets large
 * bodies only this way: `message.body` is empty then.
 */
export function openBody(message) {
  const ask = (work) => call(() => work(host("body")), ({ tag, val }) => new Error(
    tag === "not-delivered"
      ? "the message is not of this delivery, so its body cannot be read"
      : `the body cannot be read: ${val}`,
  ));
  const size = Number(ask((body) => body.size(message.id)));
  const read = (offset, most) => ask((body) => body.read(message.id, offset, most));
  return {
    size,
    read,
    *[Symbol.iterator]() {
      for (let at = 0; at < size; ) {
        const piece = read(at, PIECE);
        at += piece.length;
        yield piece;
      }
    },
  };
}
