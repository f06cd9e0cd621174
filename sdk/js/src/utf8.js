// Text as UTF-8 and back, for engines that have neither TextEncoder nor TextDecoder.
//
// The long way round is native code in these engines; a loop in JavaScript takes half a second a megabyte.

/** The bytes of a text. A lone surrogate becomes U+FFFD. */
export function encode(text) {
  const binary = unescape(encodeURIComponent(text.toWellFormed()));
  return Uint8Array.fromBase64(btoa(binary));
}

/** The text of bytes. What is not UTF-8 throws a TypeError if `fatal`, and becomes U+FFFD otherwise. */
export function decode(bytes, fatal) {
  const binary = atob(bytes.toBase64());
  if (/^[\x00-\x7f]*$/.test(binary)) return binary;
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    if (fatal) throw new TypeError("the bytes are not UTF-8");
    return lossy(bytes);
  }
}

/** Lead bytes of two, three and four bytes: mask of the rest of the character, and the least it may be. */
const LEADS = [
  [0xe0, 0xc0, 1, 0x80],
  [0xf0, 0xe0, 2, 0x800],
  [0xf8, 0xf0, 3, 0x10000],
];

function lossy(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const [point, length] = character(bytes, at);
    text += String.fromCodePoint(point);
    at += length;
  }
  return text;
}

function character(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const lead = LEADS.find(([mask, is]) => (first & mask) === is);
  if (!lead) return [0xfffd, 1];
  const [mask, , more, least] = lead;
  let point = first & ~mask;
  for (let i = 1; i <= more; i += 1) {
    const next = bytes[at + i];
    if (next === undefined || (next & 0xc0) !== 0x80) return [0xfffd, i];
    point = (point << 6) | (next & 0x3f);
  }
  const good = point >= least && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  return good ? [point, more + 1] : [0xfffd, 1];
}
