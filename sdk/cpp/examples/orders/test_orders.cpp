/* The tests of the example: a program that ends with 0 if all is well. */
#undef NDEBUG
#include "gristmill.hpp"
#include "gristmill_testing.h"

#include <cassert>
#include <cstdio>
#include <memory>

namespace {

using Delivery = std::unique_ptr<gm_delivery, decltype(&gm_delivery_free)>;

Delivery make() { return {gm_delivery_new(), gm_delivery_free}; }

const std::string LINES = R"("lines":[{"sku":"mill","quantity":2,"unit_price_cents":1250},)"
                          R"({"sku":"sack","quantity":1,"unit_price_cents":5}])";

std::string with(const std::string &more) { return R"({"id":"o-1","customer":"ada","currency":"EUR",)" + more + "}"; }
std::string one(const std::string &line) { return with(R"("lines":[)" + line + "]"); }

void an_order_becomes_an_invoice_a_notification_and_a_total() {
    const auto delivery = make();
    const auto text = with(LINES);
    const auto order = gm_test_json(text.c_str());
    gm_allow(delivery.get(), "invoices");
    gm_allow(delivery.get(), "notifications");
    for (int expected = 1; expected <= 2; expected++) {
        assert(gm_run(delivery.get(), &order).outcome == GM_OK);
        assert(gm_counter(delivery.get(), "customer/ada/orders") == expected);
        assert(gm_counter(delivery.get(), "customer/ada/cents") == expected * 2505);
    }
    const auto *invoice = gm_sent_at(delivery.get(), 0);
    assert(invoice->to == std::string("invoices") && invoice->options.group == std::string("ada"));
    assert(invoice->options.content_type == std::string("application/json"));
    assert(invoice->body.data == std::string(R"({"order":"o-1","customer":"ada","cents":2505,"currency":"EUR"})"));
    const auto *notification = gm_sent_at(delivery.get(), 1);
    assert(notification->to == std::string("notifications") && !notification->options.group);
    assert(notification->body.data == std::string(R"({"customer":"ada","text":"Order o-1: 25.05 EUR"})"));
}

void an_order_that_cannot_be_right_is_rejected_and_leaves_no_trace() {
    const std::pair<std::string, const char *> table[] = {
        {"{\"id\":", "EOF"},
        {"[]", "not the JSON"},
        {R"({"id":"o-1","customer":null,"currency":"EUR",)" + LINES + "}", "invalid type: null"},
        {with(R"("lines":[])"), "no lines"},
        {one(R"({"sku":"mill","quantity":0,"unit_price_cents":1})"), "line mill: 0 pieces"},
        {one(R"({"sku":"mill","quantity":1,"unit_price_cents":-5})"), "at -5 cents"},
        {one(R"({"sku":"mill","quantity":-1,"unit_price_cents":5})"), "invalid value: -1"},
        {one(R"({"sku":"mill","quantity":2,"unit_price_cents":9223372036854775807})"), "too large"},
        {R"({"id":"o-1","customer":"ada","currency":"XAU",)" + LINES + "}", "unknown currency \"XAU\""},
    };
    for (const auto &[text, expected] : table) {
        const auto delivery = make();
        const auto order = gm_test_json(text.c_str());
        const auto result = gm_run(delivery.get(), &order);
        assert(result.outcome == GM_REJECT && result.reason);
        if (std::string_view(result.reason).find(expected) == std::string_view::npos) {
            std::printf("%s should contain %s\n", result.reason, expected);
            assert(false);
        }
        assert(gm_sent_count(delivery.get()) == 0 && gm_state_count(delivery.get()) == 0);
    }
}

void a_gateway_that_is_down_is_a_retry_and_the_third_attempt_counts_once() {
    const auto delivery = make();
    const auto text = with("\"flaky\":2," + LINES);
    auto flaky = gm_test_json(text.c_str());
    for (flaky.attempt = 1; flaky.attempt <= 2; flaky.attempt++)
        assert(gm_run(delivery.get(), &flaky).outcome == GM_RETRY);
    assert(gm_run(delivery.get(), &flaky).outcome == GM_OK);
    assert(gm_counter(delivery.get(), "customer/ada/orders") == 1);
    assert(gm_sent_count(delivery.get()) == 2);
}

} // namespace

int main() {
    an_order_becomes_an_invoice_a_notification_and_a_total();
    an_order_that_cannot_be_right_is_rejected_and_leaves_no_trace();
    a_gateway_that_is_down_is_a_retry_and_the_third_attempt_counts_once();
    std::puts("3 tests passed");
}
