// What the host calls. Compiled together with the handler; names.mjs gives the functions their names.

import { allocate, deliver, finish } from "./index";

/** For what the host passes to a call. */
export function cabi_export_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return allocate(size);
}

/** For what the host answers. */
export function cabi_import_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return allocate(size);
}

/** For the adapter of WASI, which keeps it. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return heap.alloc(size);
}

export function handle(message: usize): usize {
  return deliver(message);
}

export function handled(outcome: usize): void {
  finish();
}
