// The limits that the fake keeps, each the host's default. A test compares them with those of the Rust SDK,
// which are compared with the host's.

export const MAX_BODY = 64 * 1024 * 1024;
export const MAX_SENDS = 100;
export const MAX_SEND_BYTES = 4 * 1024 * 1024;
export const MAX_ATTRIBUTES = 64;
export const MAX_ATTRIBUTE_NAME = 256;
export const MAX_ATTRIBUTE_BYTES = 64 * 1024;
export const RESERVED_ATTRIBUTE_PREFIX = "gristmill-";
export const MAX_ENVELOPE_FIELD = 1024;
export const MAX_STATE_KEY = 512;
export const MAX_STATE_VALUE = 256 * 1024;
export const MAX_STATE_KEYS = 1000;
export const MAX_STATE_BYTES = 4 * 1024 * 1024;
export const MAX_LISTED_KEYS = 1000;
export const LISTED_PER_KEY = 10;
export const MAX_BATCH_SENDS = 10_000;
export const MAX_BATCH_STATE_KEYS = 100_000;
export const MAX_BATCH_BYTES = 64 * 1024 * 1024;
