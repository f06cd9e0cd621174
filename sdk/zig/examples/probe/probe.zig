//! A fixture for the suite that compares the languages; handlers/probe says what it has to do.

const std = @import("std");
const gm = @import("gristmill");

comptime {
    gm.handler(handle);
}

fn handle(message: gm.Message) !void {
    const kind = message.messageType() orelse "";
    if (std.mem.eql(u8, kind, "fail")) return gm.retry("the probe fails, as it was asked to", .{});
    if (std.mem.eql(u8, kind, "crash")) gm.log("{d}", .{message.body()[message.body().len]});
    const attributes = try gm.allocator.alloc(gm.Attribute, message.attributeCount());
    for (attributes, 0..) |*into, i| into.* = message.attributeAt(i);
    try gm.send("echoes", gm.Bytes{ .bytes = message.body() }, .{
        .content_type = message.contentType(),
        .attributes = attributes,
        .group = message.group(),
        .correlation_id = message.correlationId(),
    });
}
