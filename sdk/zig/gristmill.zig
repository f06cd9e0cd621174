//! Gristmill handlers in Zig, over the library in C (sdk/c), which is built with it.
//!
//!     const gm = @import("gristmill");
//!
//!     const Order = struct { id: []const u8, cents: i64 };
//!
//!     fn handle(message: gm.Message) !void {
//!         const order = try message.json(Order); // not the JSON expected: dead, with the place
//!         if (order.cents < 0) return gm.reject("less than nothing: {d}", .{order.cents});
//!         try gm.state.add("cents", order.cents); // an error is a retry
//!         try gm.send("invoices", .{ .order = order.id }, .{});
//!     }
//!
//!     comptime {
//!         gm.handler(handle);
//!     }
//!
//! Memory: all that this file returns lives until the delivery ends, as does what `gm.allocator` gives.
//! Nothing is freed by hand.

const std = @import("std");

/// The library in C, as it is.
pub const c = @import("c.zig");

/// What can go wrong. Returned from a handler, each is a retry that says more than its name.
pub const Error = error{
    NotPermitted,
    NoRecipient,
    TooLarge,
    TooMany,
    Invalid,
    InvalidKey,
    QuotaExceeded,
    NotACounter,
    Unavailable,
    LimitReached,
    Ending,
    NotDelivered,
};

/// Errors that say what becomes of the message: made by `reject`, `retryAfter` and `postpone`.
pub const Failure = error{ Retry, RetryAfter, Reject, Postpone };

/// Why, if more is known than the name of the error.
var failure: c.Result = .{};
var problem: ?[*:0]const u8 = null;

/// It may work later: deliver again after the back-off of the queue.
pub fn retry(comptime format: []const u8, arguments: anytype) error{Retry} {
    failure = .{ .outcome = .retry, .reason = print(format, arguments) };
    return error.Retry;
}

/// As `retry`, with the least time to wait.
pub fn retryAfter(delay_ms: u64, comptime format: []const u8, arguments: anytype) error{RetryAfter} {
    failure = .{ .outcome = .retry_after, .reason = print(format, arguments), .delay_ms = delay_ms };
    return error.RetryAfter;
}

/// It will never work: the message is dead now.
pub fn reject(comptime format: []const u8, arguments: anytype) error{Reject} {
    failure = .{ .outcome = .reject, .reason = print(format, arguments) };
    return error.Reject;
}

/// It is not its turn: deliver again after the delay, without counting the attempt.
pub fn postpone(delay_ms: u64) error{Postpone} {
    failure = .{ .outcome = .postpone, .delay_ms = delay_ms };
    return error.Postpone;
}

/// Makes a function of yours what the host calls: `fn (gm.Message) !void`. Once in a program.
pub fn handler(comptime function: anytype) void {
    const Entry = struct {
        fn handle(message: *const c.Message) callconv(.c) c.Result {
            failure = .{};
            problem = null;
            function(Message{ .c = message }) catch |err| return resultOf(err);
            return .{};
        }
    };
    @export(&Entry.handle, .{ .name = "handle" });
}

fn resultOf(err: anyerror) c.Result {
    return switch (err) {
        error.Retry, error.RetryAfter, error.Reject, error.Postpone => |known| of: {
            const made: c.Outcome = switch (known) {
                error.RetryAfter => .retry_after,
                error.Reject => .reject,
                error.Postpone => .postpone,
                else => .retry,
            };
            // An error of this name that was not made here has no reason but its name.
            if (failure.outcome == made) break :of failure;
            break :of .{ .outcome = made, .reason = print("{s}", .{@errorName(err)}) };
        },
        else => .{
            .outcome = .retry,
            .reason = if (problem) |more| print("{s}: {s}", .{ @errorName(err), more }) else print("{s}", .{@errorName(err)}),
        },
    };
}

/// Turns an error of the library in C into one of Zig, and keeps what it says.
fn check(failed: ?*const c.Error) Error!void {
    const is = failed orelse return;
    problem = is.message;
    return switch (is.code) {
        1 => error.NotPermitted,
        2 => error.NoRecipient,
        3 => error.TooLarge,
        4 => error.TooMany,
        6 => error.InvalidKey,
        7 => error.QuotaExceeded,
        8 => error.NotACounter,
        9 => error.Unavailable,
        10 => error.LimitReached,
        11 => error.Ending,
        12 => error.NotDelivered,
        else => error.Invalid,
    };
}

/// What the last error of this file said of itself; its name says less.
pub fn lastProblem() ?[]const u8 {
    return optional(problem);
}

// ---- Memory and texts ----

/// Memory that lives as long as the delivery.
pub const allocator: std.mem.Allocator = .{ .ptr = undefined, .vtable = &.{
    .alloc = alloc,
    .resize = std.mem.Allocator.noResize,
    .remap = std.mem.Allocator.noRemap,
    .free = std.mem.Allocator.noFree,
} };

fn alloc(_: *anyopaque, size: usize, alignment: std.mem.Alignment, _: usize) ?[*]u8 {
    const room = c.gm_alloc(size + alignment.toByteUnits());
    return @ptrFromInt(alignment.forward(@intFromPtr(room)));
}

/// A text that is made by a format, and lives as long as the delivery.
pub fn print(comptime format: []const u8, arguments: anytype) [:0]const u8 {
    return std.fmt.allocPrintSentinel(allocator, format, arguments, 0) catch unreachable; // gm_alloc traps
}

fn text(slice: []const u8) [:0]const u8 {
    return allocator.dupeSentinel(u8, slice, 0) catch unreachable; // gm_alloc traps
}

fn given(slice: ?[]const u8) ?[*:0]const u8 {
    return text(slice orelse return null).ptr;
}

fn optional(pointer: ?[*:0]const u8) ?[]const u8 {
    return std.mem.span(pointer orelse return null);
}

fn slice_of(bytes: c.Bytes) []const u8 {
    return if (bytes.data) |data| data[0..bytes.size] else "";
}

/// Writes a line to standard output, which the host keeps with the delivery.
pub fn log(comptime format: []const u8, arguments: anytype) void {
    const line = print(format ++ "\n", arguments);
    var rest: []const u8 = line;
    while (rest.len > 0) {
        const written = std.c.write(1, rest.ptr, rest.len);
        if (written <= 0) return;
        rest = rest[@intCast(written)..];
    }
}

/// A variable of the environment that the configuration gives the handler.
pub fn environment(name: [*:0]const u8) ?[]const u8 {
    return optional(std.c.getenv(name));
}

// ---- Messages ----

/// A message as it is delivered. What the sender did not give is null.
pub const Message = struct {
    c: *const c.Message,

    /// The same on every delivery; use it as an idempotency key.
    pub fn id(message: Message) []const u8 {
        return std.mem.span(message.c.id);
    }
    /// Where the message came from.
    pub fn queue(message: Message) []const u8 {
        return std.mem.span(message.c.queue);
    }
    /// Exactly what was sent; empty if it is large and `readBody` is used.
    pub fn body(message: Message) []const u8 {
        return slice_of(message.c.body);
    }
    pub fn contentType(message: Message) ?[]const u8 {
        return optional(message.c.content_type);
    }
    /// The value of an attribute. Names are case-sensitive.
    pub fn attribute(message: Message, name: []const u8) ?[]const u8 {
        for (0..message.attributeCount()) |i| {
            const known, const value = message.attributeAt(i);
            if (std.mem.eql(u8, known, name)) return value;
        }
        return null;
    }
    pub fn attributeCount(message: Message) usize {
        return message.c.attribute_count;
    }
    pub fn attributeAt(message: Message, index: usize) Attribute {
        const at = message.c.attributes.?[0..message.c.attribute_count][index];
        return .{ std.mem.span(at.name), at.value[0..at.value_size] };
    }
    pub fn group(message: Message) ?[]const u8 {
        return optional(message.c.group);
    }
    pub fn correlationId(message: Message) ?[]const u8 {
        return optional(message.c.correlation_id);
    }
    pub fn causationId(message: Message) ?[]const u8 {
        return optional(message.c.causation_id);
    }
    pub fn replyTo(message: Message) ?[]const u8 {
        return optional(message.c.reply_to);
    }
    pub fn messageType(message: Message) ?[]const u8 {
        return optional(message.c.message_type);
    }
    pub fn schemaVersion(message: Message) ?[]const u8 {
        return optional(message.c.schema_version);
    }
    pub fn source(message: Message) ?[]const u8 {
        return optional(message.c.source);
    }
    pub fn traceparent(message: Message) ?[]const u8 {
        return optional(message.c.traceparent);
    }
    pub fn tracestate(message: Message) ?[]const u8 {
        return optional(message.c.tracestate);
    }
    pub fn priority(message: Message) u8 {
        return message.c.priority;
    }
    /// 1 on the first. Attempts that are not counted do not raise it.
    pub fn attempt(message: Message) u32 {
        return message.c.attempt;
    }
    pub fn enqueuedAtMs(message: Message) u64 {
        return message.c.enqueued_at_ms;
    }
    pub fn expiresAtMs(message: Message) ?u64 {
        return if (message.c.expires_at_ms > 0) message.c.expires_at_ms else null;
    }

    /// The body, read as JSON by std.json; fields that T does not have are left out. What is not the JSON
    /// of a T rejects the message: a body never changes, so no repetition would help.
    pub fn json(message: Message, comptime T: type) error{Reject}!T {
        var scanner: std.json.Scanner = .initCompleteInput(allocator, message.body());
        var place: std.json.Diagnostics = .{};
        scanner.enableDiagnostics(&place);
        const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };
        return std.json.parseFromTokenSourceLeaky(T, allocator, &scanner, options) catch |err|
            reject("the body is not the JSON that this handler reads: {s} at line {d} column {d}", .{
                @errorName(err), place.getLine(), place.getColumn(),
            });
    }

    /// Answers to the queue that the sender named; the body is as for `send`.
    pub fn reply(message: Message, answer: anytype, options: Options) Error!void {
        const encoded = Encoded.of(answer);
        const wired = options.wired(encoded.content_type);
        try check(c.gm_reply_bytes(message.c, encoded.bytes.ptr, encoded.bytes.len, &wired));
    }

    /// A large body, piece by piece. A handler that uses these gets large bodies only this way.
    pub fn bodySize(message: Message) Error!u64 {
        var size: u64 = 0;
        try check(c.gm_body_size(message.c, &size));
        return size;
    }
    pub fn readBody(message: Message, offset: u64, most: u32) Error![]const u8 {
        var piece: c.Bytes = undefined;
        try check(c.gm_body_read(message.c, offset, most, &piece));
        return slice_of(piece);
    }
};

// ---- Sending ----

pub const Attribute = struct { []const u8, []const u8 };

/// What may be said of a message that is sent; null is not said.
pub const Options = struct {
    content_type: ?[]const u8 = null,
    attributes: []const Attribute = &.{},
    group: ?[]const u8 = null,
    correlation_id: ?[]const u8 = null,
    reply_to: ?[]const u8 = null,
    message_type: ?[]const u8 = null,
    schema_version: ?[]const u8 = null,
    dedup_id: ?[]const u8 = null,
    /// Hold it back so long after the acknowledgement.
    delay_ms: u64 = 0,
    /// Let it expire so long after the acknowledgement.
    ttl_ms: u64 = 0,
    priority: ?u8 = null,
    /// Where to put the id of the message, if it is wanted.
    id: ?*[*:0]const u8 = null,

    fn wired(options: Options, content_type: ?[*:0]const u8) c.Options {
        const attributes = allocator.alloc(c.Attribute, options.attributes.len) catch unreachable; // gm_alloc traps
        for (options.attributes, attributes) |from, *into|
            into.* = .{ .name = text(from[0]).ptr, .value = text(from[1]).ptr, .value_size = from[1].len };
        return .{
            .content_type = given(options.content_type) orelse content_type,
            .attributes = attributes.ptr,
            .attribute_count = attributes.len,
            .group = given(options.group),
            .correlation_id = given(options.correlation_id),
            .reply_to = given(options.reply_to),
            .message_type = given(options.message_type),
            .schema_version = given(options.schema_version),
            .dedup_id = given(options.dedup_id),
            .delay_ms = options.delay_ms,
            .ttl_ms = options.ttl_ms,
            .has_priority = options.priority != null,
            .priority = options.priority orelse 0,
            .id = options.id,
        };
    }
};

/// A body that is sent as it is, without a content type.
pub const Bytes = struct { bytes: []const u8 };

const Encoded = struct {
    bytes: []const u8,
    content_type: ?[*:0]const u8,

    fn of(body: anytype) Encoded {
        if (@TypeOf(body) == Bytes) return .{ .bytes = body.bytes, .content_type = null };
        if (comptime isText(@TypeOf(body))) return .{ .bytes = body, .content_type = "text/plain; charset=utf-8" };
        const bytes = std.json.Stringify.valueAlloc(allocator, body, .{}) catch unreachable; // gm_alloc traps
        return .{ .bytes = bytes, .content_type = "application/json" };
    }

    fn isText(comptime T: type) bool {
        return switch (@typeInfo(T)) {
            .pointer => |pointer| switch (pointer.size) {
                .slice => pointer.child == u8,
                .one => switch (@typeInfo(pointer.child)) {
                    .array => |array| array.child == u8,
                    else => false,
                },
                else => false,
            },
            else => false,
        };
    }
};

/// Sends with the acknowledgement of this delivery. A []const u8 is sent as text, `Bytes` as they are, and
/// anything else as JSON.
pub fn send(queue: []const u8, body: anytype, options: Options) Error!void {
    const encoded = Encoded.of(body);
    const wired = options.wired(encoded.content_type);
    try check(c.gm_send_bytes(text(queue).ptr, encoded.bytes.ptr, encoded.bytes.len, &wired));
}

// ---- State ----

/// Durable keys and values, private to the handler.
pub const state = struct {
    pub fn get(key: []const u8) Error!?[]const u8 {
        var value: c.Bytes = undefined;
        try check(c.gm_state_get(text(key).ptr, &value));
        return if (value.data) |data| data[0..value.size] else null;
    }
    pub fn set(key: []const u8, value: []const u8) Error!void {
        try check(c.gm_state_set(text(key).ptr, value.ptr, value.len));
    }
    /// The value of a key, read as JSON.
    pub fn getJson(comptime T: type, key: []const u8) !?T {
        const value = try get(key) orelse return null;
        return try std.json.parseFromSliceLeaky(T, allocator, value, .{ .ignore_unknown_fields = true });
    }
    pub fn setJson(key: []const u8, value: anytype) Error!void {
        try set(key, std.json.Stringify.valueAlloc(allocator, value, .{}) catch unreachable); // gm_alloc traps
    }
    /// The key need not exist.
    pub fn remove(key: []const u8) Error!void {
        try check(c.gm_state_remove(text(key).ptr));
    }
    /// Adds to a counter, which starts at 0. Deliveries that only add do not disturb each other.
    pub fn add(key: []const u8, delta: i64) Error!void {
        try check(c.gm_state_add(text(key).ptr, delta));
    }
    /// What a counter stands at; 0 if there is none.
    pub fn counter(key: []const u8) Error!i64 {
        var count: i64 = 0;
        try check(c.gm_state_counter(text(key).ptr, &count));
        return count;
    }
    /// At most `limit` keys (and at most 1,000) that start with `prefix` and sort after `after`.
    pub fn keys(prefix: []const u8, after: ?[]const u8, limit: u32) Error![]const []const u8 {
        var found: c.Keys = undefined;
        try check(c.gm_state_keys(text(prefix).ptr, given(after), limit, &found));
        const all = allocator.alloc([]const u8, found.count) catch unreachable; // gm_alloc traps
        for (all, 0..) |*key, i| key.* = std.mem.span(found.keys[i]);
        return all;
    }
};

// ---- The delivery ----

/// Marks what was sent and stored so far; `rollbackTo` drops what came after the mark.
pub fn mark() u32 {
    return c.gm_mark();
}
pub fn rollbackTo(to: u32) void {
    c.gm_rollback_to(to);
}
/// Time until the host stops the handler.
pub fn remainingMs() u64 {
    return c.gm_remaining_ms();
}
/// Asks that so much be left. Returns what is.
pub fn extend(need_ms: u64) Error!u64 {
    var left: u64 = 0;
    try check(c.gm_extend(need_ms, &left));
    return left;
}
/// Whether to wind up early.
pub fn ending() bool {
    return c.gm_ending();
}
/// Tells operators how far the delivery has come.
pub fn progress(percent: u8, note: []const u8) void {
    c.gm_progress(percent, text(note).ptr);
}
/// How many attempts a message gets, if there is a limit.
pub fn maxAttempts() ?u32 {
    const most = c.gm_max_attempts();
    return if (most > 0) most else null;
}
/// Why the attempt before this one failed.
pub fn previousFailure() ?[]const u8 {
    return optional(c.gm_previous_failure());
}
/// A secret that was granted to the handler.
pub fn secret(name: []const u8) ?[]const u8 {
    return optional(c.gm_secret(text(name).ptr));
}
