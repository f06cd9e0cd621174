/* The tests of the example: a program that ends with 0 if all is well. */
#undef NDEBUG
#include "gristmill_testing.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define LINES "\"lines\":[{\"sku\":\"mill\",\"quantity\":2,\"unit_price_cents\":1250}," \
              "{\"sku\":\"sack\",\"quantity\":1,\"unit_price_cents\":5}]"
#define ORDER(more) "{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"EUR\"," more LINES "}"

static void an_order_becomes_an_invoice_a_notification_and_a_total(void)
{
    gm_delivery *delivery = gm_delivery_new();
    gm_message order = gm_test_json(ORDER(""));
    const gm_sent *invoice, *notification;
    gm_allow(delivery, "invoices");
    gm_allow(delivery, "notifications");
    for (int expected = 1; expected <= 2; expected++) {
        assert(gm_run(delivery, &order).outcome == GM_OK);
        assert(gm_counter(delivery, "customer/ada/orders") == expected);
        assert(gm_counter(delivery, "customer/ada/cents") == expected * 2505);
    }
    assert(gm_sent_count(delivery) == 4);
    invoice = gm_sent_at(delivery, 0);
    assert(strcmp(invoice->to, "invoices") == 0 && strcmp(invoice->options.group, "ada") == 0);
    assert(strcmp(invoice->options.content_type, "application/json") == 0);
    assert(strcmp(invoice->body.data,
                  "{\"order\":\"o-1\",\"customer\":\"ada\",\"cents\":2505,\"currency\":\"EUR\"}") == 0);
    notification = gm_sent_at(delivery, 1);
    assert(strcmp(notification->to, "notifications") == 0);
    assert(strcmp(notification->body.data, "{\"customer\":\"ada\",\"text\":\"Order o-1: 25.05 EUR\"}") == 0);
    gm_delivery_free(delivery);
}

static void an_order_that_cannot_be_right_is_rejected_and_leaves_no_trace(void)
{
    static const char *const table[][2] = {
        {"{\"id\":", "EOF"},
        {"[]", "not the JSON"},
        {"{\"id\":\"o-1\",\"customer\":null,\"currency\":\"EUR\"," LINES "}", "invalid type: null"},
        {"{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"EUR\",\"lines\":[]}", "no lines"},
        {"{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"EUR\",\"lines\":[{\"sku\":\"mill\",\"quantity\":0,"
         "\"unit_price_cents\":1}]}",
         "line mill: 0 pieces"},
        {"{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"EUR\",\"lines\":[{\"sku\":\"mill\",\"quantity\":1,"
         "\"unit_price_cents\":-5}]}",
         "at -5 cents"},
        {"{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"EUR\",\"lines\":[{\"sku\":\"mill\",\"quantity\":2,"
         "\"unit_price_cents\":9223372036854775807}]}",
         "too large"},
        {"{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"EUR\",\"lines\":[{\"sku\":\"mill\",\"quantity\":-1,"
         "\"unit_price_cents\":1}]}",
         "invalid value: -1"},
        {"{\"id\":\"o-1\",\"customer\":\"ada\",\"currency\":\"XAU\"," LINES "}", "unknown currency \"XAU\""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        gm_delivery *delivery = gm_delivery_new();
        gm_message order = gm_test_json(table[i][0]);
        gm_result result = gm_run(delivery, &order);
        if (result.outcome != GM_REJECT || !strstr(result.reason, table[i][1])) {
            printf("%s should contain %s\n", result.reason, table[i][1]);
            assert(false);
        }
        assert(gm_sent_count(delivery) == 0 && gm_state_count(delivery) == 0);
        gm_delivery_free(delivery);
    }
}

static void a_gateway_that_is_down_is_a_retry_and_the_third_attempt_counts_once(void)
{
    gm_delivery *delivery = gm_delivery_new();
    gm_message flaky = gm_test_json(ORDER("\"flaky\":2,"));
    for (flaky.attempt = 1; flaky.attempt <= 2; flaky.attempt++)
        assert(gm_run(delivery, &flaky).outcome == GM_RETRY);
    assert(gm_run(delivery, &flaky).outcome == GM_OK);
    assert(gm_counter(delivery, "customer/ada/orders") == 1);
    assert(gm_sent_count(delivery) == 2);
    gm_delivery_free(delivery);
}

int main(void)
{
    an_order_becomes_an_invoice_a_notification_and_a_total();
    an_order_that_cannot_be_right_is_rejected_and_leaves_no_trace();
    a_gateway_that_is_down_is_a_retry_and_the_third_attempt_counts_once();
    puts("3 tests passed");
    return 0;
}
