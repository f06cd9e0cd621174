//! The library in C, as gristmill.h declares it.

pub const Bytes = extern struct { data: ?[*]const u8, size: usize };
pub const Attribute = extern struct { name: [*:0]const u8, value: [*]const u8, value_size: usize = 0 };
pub const Message = extern struct {
    id: [*:0]const u8,
    queue: [*:0]const u8,
    body: Bytes,
    content_type: ?[*:0]const u8 = null,
    attributes: ?[*]const Attribute = null,
    attribute_count: usize = 0,
    group: ?[*:0]const u8 = null,
    correlation_id: ?[*:0]const u8 = null,
    causation_id: ?[*:0]const u8 = null,
    reply_to: ?[*:0]const u8 = null,
    message_type: ?[*:0]const u8 = null,
    schema_version: ?[*:0]const u8 = null,
    source: ?[*:0]const u8 = null,
    traceparent: ?[*:0]const u8 = null,
    tracestate: ?[*:0]const u8 = null,
    enqueued_at_ms: u64 = 0,
    expires_at_ms: u64 = 0,
    attempt: u32 = 1,
    priority: u8 = 4,
};
pub const Outcome = enum(c_uint) { ok, retry, retry_after, reject, postpone };
pub const Result = extern struct { outcome: Outcome = .ok, reason: ?[*:0]const u8 = null, delay_ms: u64 = 0 };
pub const Error = extern struct { code: c_uint, limit: u64, message: [*:0]const u8 };
pub const Options = extern struct {
    content_type: ?[*:0]const u8 = null,
    attributes: ?[*]const Attribute = null,
    attribute_count: usize = 0,
    group: ?[*:0]const u8 = null,
    correlation_id: ?[*:0]const u8 = null,
    reply_to: ?[*:0]const u8 = null,
    message_type: ?[*:0]const u8 = null,
    schema_version: ?[*:0]const u8 = null,
    dedup_id: ?[*:0]const u8 = null,
    delay_ms: u64 = 0,
    ttl_ms: u64 = 0,
    has_priority: bool = false,
    priority: u8 = 0,
    id: ?*[*:0]const u8 = null,
};
pub const Keys = extern struct { keys: [*]const [*:0]const u8, count: usize };

pub extern fn gm_alloc(size: usize) [*]u8;
pub extern fn gm_send_bytes(queue: [*:0]const u8, data: [*]const u8, size: usize, options: *const Options) ?*const Error;
pub extern fn gm_reply_bytes(to: *const Message, data: [*]const u8, size: usize, options: *const Options) ?*const Error;
pub extern fn gm_state_get(key: [*:0]const u8, value: *Bytes) ?*const Error;
pub extern fn gm_state_set(key: [*:0]const u8, data: [*]const u8, size: usize) ?*const Error;
pub extern fn gm_state_remove(key: [*:0]const u8) ?*const Error;
pub extern fn gm_state_add(key: [*:0]const u8, delta: i64) ?*const Error;
pub extern fn gm_state_counter(key: [*:0]const u8, count: *i64) ?*const Error;
pub extern fn gm_state_keys(prefix: [*:0]const u8, after: ?[*:0]const u8, limit: u32, keys: *Keys) ?*const Error;
pub extern fn gm_mark() u32;
pub extern fn gm_rollback_to(mark: u32) void;
pub extern fn gm_remaining_ms() u64;
pub extern fn gm_extend(need_ms: u64, left_ms: ?*u64) ?*const Error;
pub extern fn gm_ending() bool;
pub extern fn gm_progress(percent: u8, note: [*:0]const u8) void;
pub extern fn gm_max_attempts() u32;
pub extern fn gm_previous_failure() ?[*:0]const u8;
pub extern fn gm_secret(name: [*:0]const u8) ?[*:0]const u8;
pub extern fn gm_body_size(message: *const Message, size: *u64) ?*const Error;
pub extern fn gm_body_read(message: *const Message, offset: u64, most: u32, piece: *Bytes) ?*const Error;
