// Lengths of time, as a number of milliseconds or as a text with a unit.

const UNITS = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Whole milliseconds, from a number of them or from "250ms", "30s", "5m", "1.5h", "7d". */
export function milliseconds(length, what) {
  let ms = length;
  if (typeof length === "string") {
    const parts = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*$/.exec(length);
    ms = parts ? Number(parts[1]) * UNITS[parts[2]] : NaN;
  }
  if (typeof ms !== "number" || !(ms >= 0) || ms > Number.MAX_SAFE_INTEGER) {
    throw new TypeError(
      `${what} must be a number of milliseconds or a text such as "30s", "5m" or "1h", not ${JSON.stringify(length)}`,
    );
  }
  return Math.round(ms);
}
