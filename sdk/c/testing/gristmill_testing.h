/*
 * Unit tests of a handler, without a host: a fake delivery with the host's rules.
 *
 * A test is a program of its own, built natively from the handler, the library and this. gm_run passes
 * a message to `handle` as the host does, over the wire format. What the handler sent and stored is
 * kept if it returned gm_ok(), and dropped otherwise.
 *
 *     gm_delivery *delivery = gm_delivery_new();
 *     gm_message order = gm_test_json("{\"id\":\"a1\"}");
 *     assert(gm_run(delivery, &order).outcome == GM_OK);
 *     assert(gm_counter(delivery, "orders") == 1);
 *     assert(strcmp(gm_sent_at(delivery, 0)->to, "invoices") == 0);
 *     gm_delivery_free(delivery);
 *
 * There is no back-off here, no conflict with other deliveries, and no time: what is left of it is what
 * the test says.
 */
#ifndef GRISTMILL_TESTING_H
#define GRISTMILL_TESTING_H

#include "../gristmill.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_delivery gm_delivery;

/* An empty state, no secrets, and every queue may be sent to. */
gm_delivery *gm_delivery_new(void);
void gm_delivery_free(gm_delivery *delivery);

/* From the first call on, only queues so named may be sent to. */
void gm_allow(gm_delivery *delivery, const char *queue);
void gm_allow_up_to(gm_delivery *delivery, const char *queue, uint64_t max_body);
void gm_set_state(gm_delivery *delivery, const char *key, const void *data, size_t size);
void gm_set_counter(gm_delivery *delivery, const char *key, int64_t count);
void gm_set_secret(gm_delivery *delivery, const char *name, const char *value);
void gm_set_max_attempts(gm_delivery *delivery, uint32_t limit); /* 10 at first; 0: no limit */
void gm_set_previous_failure(gm_delivery *delivery, const char *reason);
void gm_set_remaining(gm_delivery *delivery, uint64_t remaining_ms, uint64_t most_ms); /* 30 s and 15 min */
void gm_set_ending(gm_delivery *delivery, bool ending);

/* Messages, from a queue `test`, at their first attempt. Set other fields as you need them. */
gm_message gm_test_text(const char *text);
gm_message gm_test_json(const char *json);
gm_message gm_test_bytes(const void *data, size_t size);

/* Runs the handler. The result is valid until the next run. */
gm_result gm_run(gm_delivery *delivery, const gm_message *message);
/* Runs the handler with a message whose body is large: it is found only by gm_body_read. */
gm_result gm_run_large(gm_delivery *delivery, const gm_message *message);

/* What was sent by runs that succeeded, in order. */
typedef struct gm_sent {
    const char *to;
    const char *id;
    gm_bytes body;
    gm_options options; /* with the content type it was sent with */
    bool reply;
} gm_sent;

size_t gm_sent_count(const gm_delivery *delivery);
/* NULL beyond the last. */
const gm_sent *gm_sent_at(const gm_delivery *delivery, size_t index);

/* What the state holds; `data` is NULL for a key that is not there. */
gm_bytes gm_state_of(const gm_delivery *delivery, const char *key);
int64_t gm_counter(const gm_delivery *delivery, const char *key);
size_t gm_state_count(const gm_delivery *delivery);
/* What the last run said of its progress; the note is NULL if nothing. */
const char *gm_progress_of(const gm_delivery *delivery, uint8_t *percent);

#ifdef __cplusplus
}
#endif

#endif
