// Stack traces in the words of the source files, in components that were bundled. The build leaves a table
// of the lines of the bundle; a file that was not bundled has none, and its traces are right as they are.

/** A frame of this SDK: where the host keeps it, or where npm does. */
const OWN = /[\s(]\/gristmill\/[a-z0-9]+\.js:|\/node_modules\/gristmill\/src\//;

let table = null;

/** `name` of the bundle, `sources` by their names, and `lines` of the bundle from 1 on: `[source, line]`. */
export function setTable(found) {
  table = found;
}

/** A stack with the places in the source files, and without the frames of this SDK. */
export function translate(stack) {
  const lines = stack.split("\n").filter((line) => !OWN.test(line));
  // The host gives a plain file a path of one part.
  if (!table) return lines.map((line) => line.replace(/([\s(])\/([^/\s]+:\d)/, "$1$2")).join("\n");
  return lines.flatMap((line) => {
    const parts = /^(.*?)\/?([^/\s(:]+):(\d+)(?::\d+)?(\)?)\s*$/.exec(line);
    if (!parts || parts[2] !== table.name) return [line];
    const at = table.lines[Number(parts[3])];
    if (!at) return [];
    const source = table.sources[at[0]];
    // An empty name stands for this SDK, and for the entry.
    return source === "" ? [] : [`${parts[1]}${source}:${at[1]}${parts[4]}`];
  }).join("\n");
}
