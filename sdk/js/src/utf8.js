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

function lossy(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const [point, length] = character(bytes, at);
    text += String.fromCodePoint(point);
    at += length;
  }
  return text;
}

/** How many bytes follow a lead byte, and between what the first of them has to lie. */
function following(lead) {
  if (lead >= 0xc2 && lead <= 0xdf) return [1, 0x80, 0xbf];
  if (lead >= 0xe0 && lead <= 0xef) return [2, lead === 0xe0 ? 0xa0 : 0x80, lead === 0xed ? 0x9f : 0xbf];
  if (lead >= 0xf0 && lead <= 0xf4) return [3, lead === 0xf0 ? 0x90 : 0x80, lead === 0xf4 ? 0x8f : 0xbf];
  return null;
}

/** The character at a place, and how many bytes it has; U+FFFD for the beginning of one that breaks off. */
function character(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const parts = following(first);
  if (!parts) return [0xfffd, 1];
  let [more, least, most] = parts;
  let point = first & (0x3f >> more);
  for (let i = 1; i <= more; i += 1) {
    const next = bytes[at + i];
    if (next === undefined || next < least || next > most) return [0xfffd, i];
    point = (point << 6) | (next & 0x3f);
    [least, most] = [0x80, 0xbf];
  }
  return [point, more + 1];
}
