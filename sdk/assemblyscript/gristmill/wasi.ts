// The little of WASI preview 1 that handlers need: standard streams and the environment.

@external("wasi_snapshot_preview1", "fd_write")
declare function wasi_fd_write(stream: i32, vectors: usize, count: usize, written: usize): i32;
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environ_sizes_get(count: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "environ_get")
declare function environ_get(pointers: usize, texts: usize): i32;

const WORDS = memory.data(12, 4);

export function fd_write(stream: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  store<usize>(WORDS, changetype<usize>(bytes));
  store<usize>(WORDS, bytes.byteLength, 4);
  wasi_fd_write(stream, WORDS, 1, WORDS + 8);
}

/** A variable of the environment that the configuration gives the handler, or null. */
export function environment(name: string): string | null {
  if (environ_sizes_get(WORDS, WORDS + 4) != 0) return null;
  const count = load<u32>(WORDS);
  const pointers = new ArrayBuffer(4 * count);
  const texts = new ArrayBuffer(load<u32>(WORDS, 4));
  if (environ_get(changetype<usize>(pointers), changetype<usize>(texts)) != 0) return null;
  for (let i: u32 = 0; i < count; i++) {
    const variable = String.UTF8.decodeUnsafe(load<usize>(changetype<usize>(pointers) + 4 * i), usize.MAX_VALUE, true);
    if (variable.startsWith(name + "=")) return variable.slice(name.length + 1);
  }
  return null;
}

/** What `throw` and failed checks become: a line on standard error, and a trap, which is a retry. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = message !== null ? message : "aborted";
  const where = file !== null ? file : "?";
  fd_write(2, `${text}\n    at ${where}:${line}:${column}\n`);
  unreachable();
}
