//! The tests of the SDK, over the fake delivery.

const std = @import("std");
const gm = @import("gristmill");
const testing = @import("gristmill-testing");
const expect = std.testing.expect;
const expectEqualStrings = std.testing.expectEqualStrings;

comptime {
    gm.handler(handle);
}

fn handle(message: gm.Message) !void {
    const task = message.body();
    if (std.mem.eql(u8, task, "error")) return error.DiskIsFull;
    if (std.mem.eql(u8, task, "retry")) return gm.retry("again {d}", .{message.attempt()});
    if (std.mem.eql(u8, task, "after")) return gm.retryAfter(1500, "busy", .{});
    if (std.mem.eql(u8, task, "reject")) return gm.reject("100 %s", .{});
    if (std.mem.eql(u8, task, "foreign")) return error.Reject;
    if (std.mem.eql(u8, task, "postpone")) return gm.postpone(2000);
    if (std.mem.eql(u8, task, "grant")) try gm.send("elsewhere", "x", .{});
    if (std.mem.eql(u8, task, "json")) _ = try message.json(struct { id: []const u8 });

    try expectEqualStrings("ü", message.attribute("größe").?);
    try expect(message.attribute("none") == null and message.group() == null and message.expiresAtMs() == null);
    try gm.send("q", "text", .{ .attributes = &.{.{ "a", "1" }}, .group = "g", .delay_ms = 5, .priority = 0 });
    try gm.send("q", gm.Bytes{ .bytes = "\x00\x01" }, .{});
    try message.reply(.{ .ok = true }, .{});
    try std.testing.expectError(error.TooLarge, gm.send("small", "12345", .{}));

    try expect(try gm.state.get("a") == null);
    try gm.state.setJson("a", .{ .n = 1 });
    try expect((try gm.state.getJson(struct { n: u8 }, "a")).?.n == 1);
    try gm.state.add("n", -3);
    try expect(try gm.state.counter("n") == -3);
    const keys = try gm.state.keys("", null, 10);
    try expect(keys.len == 2 and std.mem.eql(u8, keys[1], "n"));
    const mark = gm.mark();
    try gm.state.remove("a");
    gm.rollbackTo(mark);
    try expect(try gm.state.get("a") != null);
    try std.testing.expectError(error.NotACounter, gm.state.add("a", 1));

    try expect(gm.remainingMs() == 30_000 and try gm.extend(40_000) == 40_000 and !gm.ending());
    try expect(gm.maxAttempts().? == 10 and gm.previousFailure() == null);
    try expectEqualStrings("s3cret", gm.secret("key").?);
    try expect(try message.bodySize() == 3);
    try expectEqualStrings("ll", try message.readBody(1, 5));
    gm.progress(40, "on the way");
}

fn run(delivery: testing.Delivery, task: []const u8) gm.c.Result {
    const attributes = [_]gm.c.Attribute{.{ .name = "größe", .value = "ü" }};
    var message = testing.message(task);
    message.attributes = &attributes;
    message.attribute_count = 1;
    message.reply_to = "answers";
    return delivery.run(&message);
}

test "each error becomes what it says" {
    const delivery = testing.Delivery.init();
    defer delivery.deinit();
    delivery.allow("q");
    const table = [_]struct { []const u8, gm.c.Outcome, []const u8 }{
        .{ "error", .retry, "DiskIsFull" },
        .{ "retry", .retry, "again 1" },
        .{ "after", .retry_after, "busy" },
        .{ "reject", .reject, "100 %s" },
        .{ "foreign", .reject, "Reject" },
        .{ "grant", .retry, "NotPermitted: cannot send to \"elsewhere\": there is no such queue, or this handler " ++
            "may not send to it; grant it in the configuration of the handler" },
        .{ "json", .reject, "the body is not the JSON that this handler reads: SyntaxError at line 1 column 1" },
    };
    for (table) |row| {
        const result = run(delivery, row[0]);
        try expect(result.outcome == row[1]);
        try expectEqualStrings(row[2], std.mem.span(result.reason.?));
    }
    try expect(run(delivery, "after").delay_ms == 1500);
    const postponed = run(delivery, "postpone");
    try expect(postponed.outcome == .postpone and postponed.delay_ms == 2000);
}

test "what is sent and stored is kept" {
    const delivery = testing.Delivery.init();
    defer delivery.deinit();
    delivery.allow("q");
    delivery.allowUpTo("small", 4);
    delivery.setSecret("key", "s3cret");
    const result = run(delivery, "all");
    if (result.reason) |reason| std.debug.print("{s}\n", .{reason});
    try expect(result.outcome == .ok and delivery.sentCount() == 3);
    const first = delivery.sent(0).?.options;
    try expectEqualStrings("g", std.mem.span(first.group.?));
    try expect(first.has_priority and first.priority == 0 and first.delay_ms == 5 and first.attribute_count == 1);
    try expectEqualStrings("\x00\x01", testing.bodyOf(delivery.sent(1).?));
    const reply = delivery.sent(2).?;
    try expect(reply.reply);
    try expectEqualStrings("{\"ok\":true}", testing.bodyOf(reply));
    try expectEqualStrings("{\"n\":1}", delivery.state("a").?);
    try expect(delivery.counter("n") == -3);
}
