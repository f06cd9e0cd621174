/*
 * An example of ordinary work: an order becomes an invoice and a notification, and the totals of the
 * customer are kept.
 *
 * All of it counts together with the acknowledgement, or not at all. An order that cannot be right is
 * rejected; trouble that may pass, here a payment gateway that is down at first, is a retry.
 * CURRENCIES in the environment names the currencies taken.
 */
#include "gristmill.hpp"

#include <cstdio>
#include <cstdlib>
#include <ranges>

namespace {

struct Line {
    std::string_view sku;
    std::int64_t quantity;
    std::int64_t unit_price_cents;
};

struct Order {
    std::string id;
    std::string customer;
    std::string currency;
    std::vector<Line> lines;
    std::int64_t flaky; /* for demonstrations: so many attempts fail before the gateway answers */
};

constexpr std::int64_t U32_MAX = std::numeric_limits<std::uint32_t>::max();

/* Reads all of it, so that what follows need not ask. */
Order read(const gm::Value &json) {
    Order order{std::string(json.string("id")), std::string(json.string("customer")),
                std::string(json.string("currency")), {}, 0};
    for (const auto line : json.array("lines"))
        order.lines.push_back(
            {line.string("sku"), line.integer("quantity", 0, U32_MAX), line.integer("unit_price_cents")});
    if (json.has("flaky")) order.flaky = json.integer("flaky", 0, U32_MAX);
    return order;
}

/* What the order costs, or why it cannot be right. */
std::expected<std::int64_t, std::string> total(const Order &order) {
    const char *given = std::getenv("CURRENCIES");
    const std::string known = given ? given : "EUR USD GBP CHF";
    bool is_known = false;
    for (const auto word : known | std::views::split(' '))
        is_known = is_known || (std::string_view(word) == order.currency && !order.currency.empty());
    if (!is_known)
        return std::unexpected("unknown currency " + gm::Json(order.currency).text() + ": use one of " + known);
    if (order.lines.empty()) return std::unexpected("the order has no lines");
    std::int64_t cents = 0, sum = 0;
    for (const auto &[sku, pieces, price] : order.lines) {
        if (pieces == 0 || price < 0)
            return std::unexpected("line " + std::string(sku) + ": " + std::to_string(pieces) + " pieces at " +
                                   std::to_string(price) + " cents");
        if (__builtin_mul_overflow(price, pieces, &sum) || __builtin_add_overflow(cents, sum, &cents))
            return std::unexpected("the total is too large");
    }
    return cents;
}

gm::Result handle(const gm::Message &message) {
    const auto json = message.json();
    const auto order = read(json);
    if (json.problem()) return json.reject();
    const auto cents = total(order);
    if (!cents) return gm::reject(cents.error());
    /* Stands for a call to a payment gateway that is down at first. */
    if (message.attempt() <= order.flaky)
        return gm::retry("payment gateway: 503 Service Unavailable for order " + order.id);

    const auto &[id, customer, currency, lines, flaky] = order;
    GM_TRY(gm::state::add("customer/" + customer + "/orders", 1));
    GM_TRY(gm::state::add("customer/" + customer + "/cents", *cents));

    const auto invoice =
        gm::object({{"order", id}, {"customer", customer}, {"cents", *cents}, {"currency", currency}});
    GM_TRY(gm::send("invoices", invoice, {.group = customer}));
    const std::string part = std::to_string(*cents % 100);
    const std::string text = "Order " + id + ": " + std::to_string(*cents / 100) + (part.size() < 2 ? ".0" : ".") +
                             part + " " + currency;
    GM_TRY(gm::send("notifications", gm::object({{"customer", customer}, {"text", text}})));
    std::puts(text.c_str());
    return gm::ok();
}

} // namespace

GM_HANDLER(handle)
