/*
 * An example of ordinary work: an order becomes an invoice and a notification, and the totals of the
 * customer are kept.
 *
 * All of it counts together with the acknowledgement, or not at all. An order that cannot be right is
 * rejected; trouble that may pass, here a payment gateway that is down at first, is a retry.
 * CURRENCIES in the environment names the currencies taken.
 */
#include "gristmill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct order {
    const char *id;
    const char *customer;
    const char *currency;
    const gm_json *lines;
    int64_t flaky; /* for demonstrations: so many attempts fail before the gateway answers */
} order;

/* Whether the currency is one of the words. */
static bool is_known(const char *known, const char *currency)
{
    size_t size = strlen(currency);
    for (const char *word = known; *word; word += strcspn(word, " ")) {
        word += strspn(word, " ");
        if (strcspn(word, " ") == size && strncmp(word, currency, size) == 0)
            return size > 0;
    }
    return false;
}

/* What the order costs, if it can be right at all. */
static gm_result total(const order *order, int64_t *cents)
{
    const char *known = getenv("CURRENCIES");
    if (!known)
        known = "EUR USD GBP CHF";
    if (!is_known(known, order->currency))
        return gm_reject("unknown currency %s: use one of %s", gm_quote(order->currency), known);
    if (gm_json_count(order->lines) == 0)
        return gm_reject("the order has no lines");
    *cents = 0;
    for (const gm_json *line = gm_json_first(order->lines); line; line = gm_json_next(line)) {
        int64_t pieces = gm_json_integer(line, "quantity"), price = gm_json_integer(line, "unit_price_cents"), sum;
        if (pieces == 0 || price < 0)
            return gm_reject("line %s: %" PRId64 " pieces at %" PRId64 " cents", gm_json_string(line, "sku"), pieces,
                             price);
        if (__builtin_mul_overflow(price, pieces, &sum) || __builtin_add_overflow(*cents, sum, cents))
            return gm_reject("the total is too large");
    }
    return gm_ok();
}

/* Reads all of it, so that what follows need not ask. */
static order read_order(const gm_json *json)
{
    order order = {
        .id = gm_json_string(json, "id"),
        .customer = gm_json_string(json, "customer"),
        .currency = gm_json_string(json, "currency"),
        .lines = gm_json_array(json, "lines"),
    };
    for (const gm_json *line = gm_json_first(order.lines); line; line = gm_json_next(line)) {
        gm_json_string(line, "sku");
        gm_json_integer_within(line, "quantity", 0, UINT32_MAX);
        gm_json_integer(line, "unit_price_cents");
    }
    if (gm_json_has(json, "flaky"))
        order.flaky = gm_json_integer_within(json, "flaky", 0, UINT32_MAX);
    return order;
}

gm_result handle(const gm_message *message)
{
    const gm_json *json = gm_message_json(message);
    order order = read_order(json);
    if (gm_json_problem(json))
        return gm_json_reject(json);

    int64_t cents;
    gm_result priced = total(&order, &cents);
    if (priced.outcome != GM_OK)
        return priced;
    /* Stands for a call to a payment gateway that is down at first. */
    if (message->attempt <= order.flaky)
        return gm_retry("payment gateway: 503 Service Unavailable for order %s", order.id);

    GM_TRY(gm_state_add(gm_format("customer/%s/orders", order.customer), 1));
    GM_TRY(gm_state_add(gm_format("customer/%s/cents", order.customer), cents));

    const char *customer = gm_quote(order.customer);
    const char *invoice = gm_format("{\"order\":%s,\"customer\":%s,\"cents\":%" PRId64 ",\"currency\":%s}",
                                    gm_quote(order.id), customer, cents, gm_quote(order.currency));
    GM_TRY(gm_send_json("invoices", invoice, &(gm_options){.group = order.customer}));

    const char *text = gm_format("Order %s: %" PRId64 ".%02" PRId64 " %s", order.id, cents / 100, cents % 100,
                                 order.currency);
    GM_TRY(gm_send_json("notifications", gm_format("{\"customer\":%s,\"text\":%s}", customer, gm_quote(text)), NULL));
    printf("%s\n", text);
    return gm_ok();
}
