//! Unit tests of a handler in `zig test`, without a host: the fake delivery of the library in C.
//!
//!     const gm_testing = @import("gristmill-testing");
//!
//!     test "an order is counted" {
//!         const delivery = gm_testing.Delivery.init();
//!         defer delivery.deinit();
//!         const order = gm_testing.message("{\"id\":\"a1\"}");
//!         try std.testing.expectEqual(.ok, delivery.run(&order).outcome);
//!         try std.testing.expectEqual(1, delivery.counter("orders"));
//!     }

const std = @import("std");
const gm = @import("gristmill");

pub const Sent = extern struct {
    to: [*:0]const u8,
    id: [*:0]const u8,
    body: gm.c.Bytes,
    options: gm.c.Options,
    reply: bool,
};

const Opaque = opaque {};

extern fn gm_delivery_new() *Opaque;
extern fn gm_delivery_free(delivery: *Opaque) void;
extern fn gm_allow(delivery: *Opaque, queue: [*:0]const u8) void;
extern fn gm_allow_up_to(delivery: *Opaque, queue: [*:0]const u8, max_body: u64) void;
extern fn gm_set_state(delivery: *Opaque, key: [*:0]const u8, data: [*]const u8, size: usize) void;
extern fn gm_set_counter(delivery: *Opaque, key: [*:0]const u8, count: i64) void;
extern fn gm_set_secret(delivery: *Opaque, name: [*:0]const u8, value: [*:0]const u8) void;
extern fn gm_run(delivery: *Opaque, message: *const gm.c.Message) gm.c.Result;
extern fn gm_run_large(delivery: *Opaque, message: *const gm.c.Message) gm.c.Result;
extern fn gm_sent_count(delivery: *const Opaque) usize;
extern fn gm_sent_at(delivery: *const Opaque, index: usize) ?*const Sent;
extern fn gm_state_of(delivery: *const Opaque, key: [*:0]const u8) gm.c.Bytes;
extern fn gm_counter(delivery: *const Opaque, key: [*:0]const u8) i64;
extern fn gm_state_count(delivery: *const Opaque) usize;

/// A message from a queue `test`, at its first attempt. Set other fields as you need them.
pub fn message(body: []const u8) gm.c.Message {
    return .{
        .id = "00000000-0000-7000-8000-000000000001",
        .queue = "test",
        .body = .{ .data = body.ptr, .size = body.len },
        .enqueued_at_ms = 1700000000000,
    };
}

/// A host in small: it runs the handler, and keeps what it sent and stored if it succeeded.
pub const Delivery = struct {
    c: *Opaque,

    /// An empty state, no secrets, and every queue may be sent to.
    pub fn init() Delivery {
        return .{ .c = gm_delivery_new() };
    }
    pub fn deinit(delivery: Delivery) void {
        gm_delivery_free(delivery.c);
    }
    /// From the first call on, only queues so named may be sent to.
    pub fn allow(delivery: Delivery, queue: [*:0]const u8) void {
        gm_allow(delivery.c, queue);
    }
    pub fn allowUpTo(delivery: Delivery, queue: [*:0]const u8, max_body: u64) void {
        gm_allow_up_to(delivery.c, queue, max_body);
    }
    pub fn setState(delivery: Delivery, key: [*:0]const u8, value: []const u8) void {
        gm_set_state(delivery.c, key, value.ptr, value.len);
    }
    pub fn setCounter(delivery: Delivery, key: [*:0]const u8, count: i64) void {
        gm_set_counter(delivery.c, key, count);
    }
    pub fn setSecret(delivery: Delivery, name: [*:0]const u8, value: [*:0]const u8) void {
        gm_set_secret(delivery.c, name, value);
    }
    /// What became of the message; valid until the next run.
    pub fn run(delivery: Delivery, of: *const gm.c.Message) gm.c.Result {
        return gm_run(delivery.c, of);
    }
    /// As `run`, with a body that is large: it is found only by `readBody`.
    pub fn runLarge(delivery: Delivery, of: *const gm.c.Message) gm.c.Result {
        return gm_run_large(delivery.c, of);
    }
    pub fn sentCount(delivery: Delivery) usize {
        return gm_sent_count(delivery.c);
    }
    pub fn sent(delivery: Delivery, index: usize) ?*const Sent {
        return gm_sent_at(delivery.c, index);
    }
    /// The value of a key of the state.
    pub fn state(delivery: Delivery, key: [*:0]const u8) ?[]const u8 {
        const value = gm_state_of(delivery.c, key);
        return if (value.data) |data| data[0..value.size] else null;
    }
    pub fn counter(delivery: Delivery, key: [*:0]const u8) i64 {
        return gm_counter(delivery.c, key);
    }
    pub fn stateCount(delivery: Delivery) usize {
        return gm_state_count(delivery.c);
    }
};

/// The body of a message that was sent.
pub fn bodyOf(sent: *const Sent) []const u8 {
    return if (sent.body.data) |data| data[0..sent.body.size] else "";
}
