/*
 * Gristmill handlers in C.
 *
 * A handler is one function, `handle`. Gristmill calls it once for every message of a queue and does
 * with the message what the function returns. What it sends and stores becomes visible together with
 * the acknowledgement of the message, or never.
 *
 * Memory: all that this library returns lives until the delivery ends and is never freed by hand.
 * Every text ends with a zero byte, also the bodies and values given as `gm_bytes`, so it can be
 * printed and searched with what the C library has. Texts are UTF-8.
 *
 * The file is C and C++. It knows nothing of WebAssembly: in a native build the same functions work on
 * a fake delivery, for tests (testing/gristmill_testing.h).
 */
#ifndef GRISTMILL_H
#define GRISTMILL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GM_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define GM_USE_RESULT __attribute__((warn_unused_result))

/* ---- Messages ---- */

/* Bytes, with a zero byte behind the last that does not count. */
typedef struct gm_bytes {
    const char *data; /* NULL where there is nothing, as opposed to nothing in it */
    size_t size;
} gm_bytes;

typedef struct gm_attribute {
    const char *name;
    const char *value;
    size_t value_size; /* to send: 0 stands for all of a text that ends with a zero byte */
} gm_attribute;

/* A message as it is delivered. What the sender did not give is NULL, or 0. */
typedef struct gm_message {
    const char *id;           /* the same on every delivery; use it as an idempotency key */
    const char *queue;        /* where it came from */
    gm_bytes body;            /* exactly as it was sent; empty if it is large and gm_body_read is used */
    const char *content_type; /* the media type of the body */
    const gm_attribute *attributes;
    size_t attribute_count;
    const char *group;          /* the ordering key */
    const char *correlation_id; /* ties replies to requests */
    const char *causation_id;   /* the message whose handling led to this one */
    const char *reply_to;       /* where the sender wants an answer; see gm_reply */
    const char *message_type;   /* such as order.placed */
    const char *schema_version;
    const char *source;      /* who sent it */
    const char *traceparent; /* W3C Trace Context */
    const char *tracestate;
    uint64_t enqueued_at_ms; /* since 1970 */
    uint64_t expires_at_ms;  /* 0: never */
    uint32_t attempt;        /* 1 on the first; those that are not counted do not raise it */
    uint8_t priority;        /* 0 to 9, higher first */
} gm_message;

/* The value of an attribute, or NULL. Names are case-sensitive. */
const char *gm_attribute_of(const gm_message *message, const char *name);

/* ---- What becomes of a message ---- */

typedef enum gm_outcome { GM_OK, GM_RETRY, GM_RETRY_AFTER, GM_REJECT, GM_POSTPONE } gm_outcome;

typedef struct gm_result {
    gm_outcome outcome;
    const char *reason; /* kept with the message and shown to operators: never a secret */
    uint64_t delay_ms;
} gm_result;

/* To be written by you, unless you have another language's SDK on top of this. */
gm_result handle(const gm_message *message);

/* Done: what was sent and stored counts. */
gm_result gm_ok(void);
/* It may work later: deliver again after the back-off of the queue. */
gm_result gm_retry(const char *format, ...) GM_PRINTF(1, 2);
/* As gm_retry, with the least time to wait. */
gm_result gm_retry_after(uint64_t delay_ms, const char *format, ...) GM_PRINTF(2, 3);
/* It will never work: the message is dead now. */
gm_result gm_reject(const char *format, ...) GM_PRINTF(1, 2);
/* It is not its turn: deliver again after the delay, without counting the attempt. */
gm_result gm_postpone(uint64_t delay_ms);

/* ---- Errors ---- */

typedef enum gm_error_code {
    GM_NOT_PERMITTED = 1, /* no such queue, or no grant to send there */
    GM_NO_RECIPIENT,      /* a reply to a message whose sender wants none */
    GM_TOO_LARGE,         /* a body or value has more bytes than `limit` */
    GM_TOO_MANY,          /* as many messages or bytes as a delivery may send */
    GM_INVALID,           /* a message that is malformed in some other way */
    GM_INVALID_KEY,       /* a state key must have 1 to 512 bytes */
    GM_QUOTA_EXCEEDED,    /* the state is full, or touched as much as it may be */
    GM_NOT_A_COUNTER,     /* the key holds what gm_state_add did not make */
    GM_UNAVAILABLE,       /* the store failed */
    GM_LIMIT_REACHED,     /* the most time a delivery may take would be exceeded */
    GM_ENDING,            /* the delivery is being ended */
    GM_NOT_DELIVERED      /* the message is not of this delivery */
} gm_error_code;

typedef struct gm_error {
    gm_error_code code;
    uint64_t limit;
    const char *message; /* what happened, to which thing, and what to do */
} gm_error;

/*
 * Functions that can fail return NULL, or why. GM_TRY hands an error on from a handler as a retry:
 * the message must not be lost by an error that nobody thought about.
 */
#define GM_TRY(call)                                       \
    do {                                                   \
        const gm_error *gm_try_error = (call);             \
        if (gm_try_error)                                  \
            return gm_retry("%s", gm_try_error->message);  \
    } while (0)

/* ---- Sending ---- */

/* What may be said of a message that is sent; a field left out is not said. */
typedef struct gm_options {
    const char *content_type; /* if not that of the function that sends */
    const gm_attribute *attributes;
    size_t attribute_count;
    const char *group;
    const char *correlation_id;
    const char *reply_to;
    const char *message_type;
    const char *schema_version;
    const char *dedup_id;
    uint64_t delay_ms;  /* hold it back so long after the acknowledgement */
    uint64_t ttl_ms;    /* let it expire so long after the acknowledgement */
    bool has_priority;  /* whether `priority` counts; it is 4 otherwise */
    uint8_t priority;   /* 0 to 9, higher first */
    const char **id;    /* where to put the id of the message, if it is wanted */
} gm_options;

/* Sends with the acknowledgement of this delivery. `options` may be NULL. */
const gm_error *gm_send_text(const char *queue, const char *text, const gm_options *options) GM_USE_RESULT;
const gm_error *gm_send_json(const char *queue, const char *json, const gm_options *options) GM_USE_RESULT;
const gm_error *gm_send_bytes(const char *queue, const void *data, size_t size,
                              const gm_options *options) GM_USE_RESULT;
/* Answers to the queue that the sender of `to` named. */
const gm_error *gm_reply_text(const gm_message *to, const char *text, const gm_options *options) GM_USE_RESULT;
const gm_error *gm_reply_json(const gm_message *to, const char *json, const gm_options *options) GM_USE_RESULT;
const gm_error *gm_reply_bytes(const gm_message *to, const void *data, size_t size,
                               const gm_options *options) GM_USE_RESULT;

/* ---- State: durable keys and values, private to the handler ---- */

/* The value of a key; `value->data` is NULL if there is none. */
const gm_error *gm_state_get(const char *key, gm_bytes *value) GM_USE_RESULT;
const gm_error *gm_state_set(const char *key, const void *data, size_t size) GM_USE_RESULT;
const gm_error *gm_state_set_text(const char *key, const char *text) GM_USE_RESULT;
/* The key need not exist. */
const gm_error *gm_state_remove(const char *key) GM_USE_RESULT;
/* Adds to a counter, which starts at 0. Deliveries that only add do not disturb each other. */
const gm_error *gm_state_add(const char *key, int64_t delta) GM_USE_RESULT;
/* What a counter stands at; 0 if there is none. */
const gm_error *gm_state_counter(const char *key, int64_t *count) GM_USE_RESULT;

typedef struct gm_keys {
    const char **keys;
    size_t count;
} gm_keys;

/* At most `limit` keys (and at most 1,000) that start with `prefix` and sort after `after`, which may
 * be NULL, in byte order. */
const gm_error *gm_state_keys(const char *prefix, const char *after, uint32_t limit, gm_keys *keys) GM_USE_RESULT;

/* ---- The delivery ---- */

/* Marks what was sent and stored so far, and drops what came after a mark. */
uint32_t gm_mark(void);
void gm_rollback_to(uint32_t mark);

/* Time until the host stops the handler. */
uint64_t gm_remaining_ms(void);
/* Asks that so much be left; `left_ms` may be NULL. */
const gm_error *gm_extend(uint64_t need_ms, uint64_t *left_ms) GM_USE_RESULT;
/* Whether to wind up early. */
bool gm_ending(void);
/* Tells operators how far the delivery has come. */
void gm_progress(uint8_t percent, const char *note);
/* How many attempts a message gets; 0: no limit. */
uint32_t gm_max_attempts(void);
/* Why the attempt before this one failed, or NULL. */
const char *gm_previous_failure(void);
/* A secret that was granted to the handler, or NULL. */
const char *gm_secret(const char *name);

/* Large bodies, piece by piece. A handler that uses these gets large bodies only this way. */
const gm_error *gm_body_size(const gm_message *message, uint64_t *size) GM_USE_RESULT;
/* At most 1 MiB; fewer bytes than asked for only at the end. */
const gm_error *gm_body_read(const gm_message *message, uint64_t offset, uint32_t most, gm_bytes *piece) GM_USE_RESULT;

/* ---- Texts ---- */

/* Memory, cleared, and a text, that live as long as the delivery. */
void *gm_alloc(size_t size);
const char *gm_format(const char *format, ...) GM_PRINTF(1, 2);
const char *gm_vformat(const char *format, va_list arguments);
/* How many bytes the UTF-8 sequence has that `text` begins with; 0 if it is none. */
size_t gm_utf8_sequence(const char *text, size_t size);

/* A text that grows: begin with `gm_buffer text = {0};`. `data` is NULL until something is appended. */
typedef struct gm_buffer {
    char *data;
    size_t size;
    size_t room;
} gm_buffer;

void gm_append(gm_buffer *buffer, const char *format, ...) GM_PRINTF(2, 3);

/* ---- JSON ---- */

/*
 * Writing: gm_quote makes a JSON string of a text, so JSON is written with a format:
 *
 *     gm_format("{\"order\":%s,\"cents\":%lld}", gm_quote(id), cents)
 *
 * Reading: gm_message_json never returns NULL, and reading goes on after something was wrong, with
 * empty values. The first thing that was wrong is kept for the whole document: read all that is
 * needed, then ask once.
 *
 *     const gm_json *order = gm_message_json(message);
 *     const char *id = gm_json_string(order, "id");
 *     int64_t cents = gm_json_integer(order, "cents");
 *     if (gm_json_problem(order))
 *         return gm_json_reject(order);
 */
typedef struct gm_json gm_json;

typedef enum gm_json_type {
    GM_JSON_NOTHING, /* where something was wrong */
    GM_JSON_NULL,
    GM_JSON_BOOL,
    GM_JSON_NUMBER,
    GM_JSON_STRING,
    GM_JSON_ARRAY,
    GM_JSON_OBJECT
} gm_json_type;

const char *gm_quote(const char *text);
const char *gm_quote_bytes(const char *data, size_t size);

const gm_json *gm_message_json(const gm_message *message);
const gm_json *gm_json_parse(const char *text, size_t size);
/* What was wrong first, or NULL. */
const char *gm_json_problem(const gm_json *of);
/* The rejection that says it. */
gm_result gm_json_reject(const gm_json *of);
/* Notes that something is wrong with the document, unless something was wrong before. */
void gm_json_note(const gm_json *of, const char *format, ...) GM_PRINTF(2, 3);

gm_json_type gm_json_type_of(const gm_json *value);
/* Whether an object has the field, and it is not null. */
bool gm_json_has(const gm_json *object, const char *field);

/* The value of a field, which has to be there and of that type. */
const char *gm_json_string(const gm_json *object, const char *field);
int64_t gm_json_integer(const gm_json *object, const char *field);
int64_t gm_json_integer_within(const gm_json *object, const char *field, int64_t least, int64_t most);
double gm_json_number(const gm_json *object, const char *field);
bool gm_json_bool(const gm_json *object, const char *field);
const gm_json *gm_json_object(const gm_json *object, const char *field);
const gm_json *gm_json_array(const gm_json *object, const char *field);
const gm_json *gm_json_any(const gm_json *object, const char *field);

/* Elements of an array, and fields of an object in their order. */
size_t gm_json_count(const gm_json *value);
const gm_json *gm_json_first(const gm_json *value); /* NULL if there is none */
const gm_json *gm_json_next(const gm_json *element);
const gm_json *gm_json_at(const gm_json *value, size_t index); /* goes through all before it */
/* The name of a field, or NULL for what is none. */
const char *gm_json_name(const gm_json *element);

/* The value itself, where it has to be of that type. */
gm_bytes gm_json_as_string(const gm_json *value);
int64_t gm_json_as_integer(const gm_json *value);
double gm_json_as_number(const gm_json *value);
bool gm_json_as_bool(const gm_json *value);

#ifdef __cplusplus
}
#endif

#endif
