//! An example of ordinary work: an order becomes an invoice and a notification, and the totals of the
//! customer are kept.
//!
//! All of it counts together with the acknowledgement, or not at all. An order that cannot be right is
//! rejected; trouble that may pass, here a payment gateway that is down at first, is a retry. CURRENCIES
//! in the environment names the currencies taken.

const std = @import("std");
const gm = @import("gristmill");

const Order = struct {
    id: []const u8,
    customer: []const u8,
    currency: []const u8,
    lines: []const Line,
    /// For demonstrations: so many attempts fail before the gateway answers.
    flaky: u32 = 0,
};

const Line = struct {
    sku: []const u8,
    quantity: u32,
    unit_price_cents: i64,
};

comptime {
    gm.handler(handle);
}

fn handle(message: gm.Message) !void {
    const order = try message.json(Order);
    const cents = try total(order);
    try charge(order, message.attempt());

    try gm.state.add(gm.print("customer/{s}/orders", .{order.customer}), 1);
    try gm.state.add(gm.print("customer/{s}/cents", .{order.customer}), cents);

    const invoice = .{ .order = order.id, .customer = order.customer, .cents = cents, .currency = order.currency };
    try gm.send("invoices", invoice, .{ .group = order.customer });
    const whole: u64 = @intCast(cents);
    const text = gm.print("Order {s}: {d}.{d:0>2} {s}", .{ order.id, whole / 100, whole % 100, order.currency });
    try gm.send("notifications", .{ .customer = order.customer, .text = @as([]const u8, text) }, .{});
    gm.log("{s}", .{text});
}

/// What the order costs, if it can be right at all.
fn total(order: Order) !i64 {
    const known = gm.environment("CURRENCIES") orelse "EUR USD GBP CHF";
    var words = std.mem.tokenizeScalar(u8, known, ' ');
    while (words.next()) |word| {
        if (std.mem.eql(u8, word, order.currency)) break;
    } else return gm.reject("unknown currency \"{s}\": use one of {s}", .{ order.currency, known });
    if (order.lines.len == 0) return gm.reject("the order has no lines", .{});
    var cents: i64 = 0;
    for (order.lines) |line| {
        if (line.quantity == 0 or line.unit_price_cents < 0)
            return gm.reject("line {s}: {d} pieces at {d} cents", .{ line.sku, line.quantity, line.unit_price_cents });
        const sum = std.math.mul(i64, line.unit_price_cents, line.quantity) catch return tooLarge();
        cents = std.math.add(i64, cents, sum) catch return tooLarge();
    }
    return cents;
}

fn tooLarge() error{Reject} {
    return gm.reject("the total is too large", .{});
}

/// Stands for a call to a payment gateway that is down at first.
fn charge(order: Order, attempt: u32) !void {
    if (attempt > order.flaky) return;
    return gm.retry("payment gateway: 503 Service Unavailable for order {s}", .{order.id});
}

// ---- Tests ----

const testing = @import("gristmill-testing");
const expect = std.testing.expect;
const lines =
    \\"lines":[{"sku":"mill","quantity":2,"unit_price_cents":1250},{"sku":"sack","quantity":1,"unit_price_cents":5}]
;

fn order_with(comptime more: []const u8) gm.c.Message {
    return testing.message("{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"EUR\"," ++ more ++ "}");
}

test "an order becomes an invoice, a notification and a total" {
    const delivery = testing.Delivery.init();
    defer delivery.deinit();
    delivery.allow("invoices");
    delivery.allow("notifications");
    const message = order_with(lines);
    for (1..3) |expected| {
        try expect(delivery.run(&message).outcome == .ok);
        try expect(delivery.counter("customer/ada/orders") == expected);
        try expect(delivery.counter("customer/ada/cents") == expected * 2505);
    }
    const invoice = delivery.sent(0).?;
    try std.testing.expectEqualStrings("invoices", std.mem.span(invoice.to));
    try std.testing.expectEqualStrings("ada", std.mem.span(invoice.options.group.?));
    try std.testing.expectEqualStrings(
        "{\"order\":\"o-1\",\"customer\":\"ada\",\"cents\":2505,\"currency\":\"EUR\"}",
        testing.bodyOf(invoice),
    );
    const notification = delivery.sent(1).?;
    try std.testing.expectEqualStrings("notifications", std.mem.span(notification.to));
    try std.testing.expectEqualStrings(
        "{\"customer\":\"ada\",\"text\":\"Order o-1: 25.05 EUR\"}",
        testing.bodyOf(notification),
    );
}

test "an order that cannot be right is rejected and leaves no trace" {
    const table = [_]struct { gm.c.Message, []const u8 }{
        .{ testing.message("{\"id\":"), "UnexpectedEndOfInput" },
        .{ testing.message("[]"), "not the JSON" },
        .{ testing.message("{\"id\":\"o-1\",\"customer\":null,\"currency\":\"EUR\"," ++ lines ++ "}"), "not the JSON" },
        .{ order_with("\"lines\":[]"), "no lines" },
        .{ order_with("\"lines\":[{\"sku\":\"mill\",\"quantity\":0,\"unit_price_cents\":1}]"), "line mill: 0 pieces" },
        .{ order_with("\"lines\":[{\"sku\":\"mill\",\"quantity\":1,\"unit_price_cents\":-5}]"), "at -5 cents" },
        .{ order_with("\"lines\":[{\"sku\":\"mill\",\"quantity\":-1,\"unit_price_cents\":5}]"), "not the JSON" },
        .{ order_with("\"lines\":[{\"sku\":\"mill\",\"quantity\":2,\"unit_price_cents\":9223372036854775807}]"), "too large" },
        .{ testing.message("{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"XAU\"," ++ lines ++ "}"), "unknown currency \"XAU\"" },
    };
    for (table) |row| {
        const delivery = testing.Delivery.init();
        defer delivery.deinit();
        const result = delivery.run(&row[0]);
        try expect(result.outcome == .reject);
        const reason = std.mem.span(result.reason.?);
        if (std.mem.find(u8, reason, row[1]) == null) {
            std.debug.print("{s} should contain {s}\n", .{ reason, row[1] });
            return error.OtherReason;
        }
        try expect(delivery.sentCount() == 0 and delivery.stateCount() == 0);
    }
}

test "a gateway that is down is a retry, and the third attempt counts once" {
    const delivery = testing.Delivery.init();
    defer delivery.deinit();
    var flaky = order_with("\"flaky\":2," ++ lines);
    while (flaky.attempt <= 2) : (flaky.attempt += 1)
        try expect(delivery.run(&flaky).outcome == .retry);
    try expect(delivery.run(&flaky).outcome == .ok);
    try expect(delivery.counter("customer/ada/orders") == 1);
    try expect(delivery.sentCount() == 2);
}
