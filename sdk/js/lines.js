// Which line of which source file a line of a bundle comes from: the source map of the bundle, cut down to
// what a stack trace needs. Knows the format of source maps, version 3, as far as esbuild writes it.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The numbers of a segment: base 64, five bits a digit, lowest first, the sign in the lowest bit. */
function numbers(segment) {
  const found = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) * 2 ** shift;
    shift += 5;
    if ((bits & 32) === 0) {
      found.push(value % 2 === 1 ? -Math.floor(value / 2) : Math.floor(value / 2));
      [value, shift] = [0, 0];
    }
  }
  return found;
}

/** For each line of the bundle, from 1 on: `[index of the source, line in it]`, or `null`. */
export function lineTable(mappings) {
  let [source, line] = [0, 0];
  const table = [null];
  for (const group of mappings.split(";")) {
    let first = null;
    for (const segment of group.split(",").filter(Boolean)) {
      const [, bySource, byLine] = numbers(segment);
      if (bySource === undefined) continue;
      source += bySource;
      line += byLine;
      first ??= [source, line + 1];
    }
    table.push(first);
  }
  return table;
}

/** Rewrites the places `NAME:LINE:COLUMN` of a text that speaks of the bundle `name`. */
export function translator(name, map) {
  const table = lineTable(map.mappings);
  const place = new RegExp(`/?${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}:(\\d+)(?::\\d+)?`, "g");
  return (text) => text.replace(place, (whole, line) => {
    const found = table[Number(line)];
    return found && map.sources[found[0]] ? `${map.sources[found[0]]}:${found[1]}` : whole;
  });
}
