/*
 * The functions between handler and host as they are on the wire: wit/queue.wit in the canonical ABI
 * of the component model. Records and variants there are laid out as structs and tagged unions are in
 * C, so they are written as such.
 *
 * Knows the wire and nothing of how handlers like to see it: that is gristmill.h. In a native build
 * testing/gristmill_testing.c has these functions.
 */
#ifndef GRISTMILL_ABI_H
#define GRISTMILL_ABI_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __wasm__
#define GM_IMPORT(module, name) __attribute__((import_module("gristmill:queue/" module "@0.1.0"), import_name(name)))
#define GM_EXPORT(name) __attribute__((export_name(name)))
#else
#define GM_IMPORT(module, name)
#define GM_EXPORT(name)
#endif

/* string and list<u8> */
typedef struct abi_text {
    char *data;
    size_t size;
} abi_text;

typedef struct abi_optional_text {
    uint8_t some;
    abi_text value;
} abi_optional_text;

typedef struct abi_optional_u64 {
    uint8_t some;
    uint64_t value;
} abi_optional_u64;

typedef struct abi_attribute {
    abi_text name;
    abi_text value;
} abi_attribute;

typedef struct abi_attributes {
    abi_attribute *data;
    size_t size;
} abi_attributes;

/* types.message */
typedef struct abi_message {
    abi_text id;
    abi_text queue;
    abi_text body;
    abi_optional_text content_type;
    abi_attributes attributes;
    abi_optional_text group;
    abi_optional_text correlation_id;
    abi_optional_text causation_id;
    abi_optional_text reply_to;
    abi_optional_text message_type;
    abi_optional_text schema_version;
    abi_optional_text source;
    uint8_t priority;
    struct {
        uint8_t some;
        abi_text traceparent;
        abi_text tracestate;
    } trace;
    uint64_t enqueued_at;
    abi_optional_u64 expires_at;
    uint32_t attempt;
} abi_message;

/* types.failure, by its cases */
enum { ABI_RETRY, ABI_RETRY_AFTER, ABI_REJECT, ABI_POSTPONE };

typedef struct abi_failure {
    uint8_t tag;
    union {
        abi_text reason;
        struct {
            abi_text reason;
            uint64_t delay;
        } after;
        uint64_t delay;
    } is;
} abi_failure;

/* result<_, failure>, and types.outcome */
typedef struct abi_outcome {
    uint8_t failed;
    abi_failure failure;
} abi_outcome;

/* producer.outgoing, behind the queue or message it goes to */
typedef struct abi_outgoing {
    abi_text to;
    abi_text body;
    abi_optional_text content_type;
    abi_attributes attributes;
    abi_optional_text group;
    abi_optional_text correlation_id;
    abi_optional_text reply_to;
    abi_optional_text message_type;
    abi_optional_text schema_version;
    struct {
        uint8_t some;
        uint8_t value;
    } priority;
    abi_optional_text dedup_id;
    abi_optional_u64 delay;
    abi_optional_u64 ttl;
} abi_outgoing;

/* An error of any interface: which case, and what comes with it. */
typedef struct abi_error {
    uint8_t tag;
    union {
        uint64_t limit;
        abi_text problem;
    } is;
} abi_error;

/* producer.send-error, state.error, body.error and delivery.extend-error, by their cases */
enum { ABI_NOT_PERMITTED, ABI_NO_RECIPIENT, ABI_SEND_TOO_LARGE, ABI_TOO_MANY, ABI_INVALID };
enum { ABI_INVALID_KEY, ABI_STATE_TOO_LARGE, ABI_QUOTA_EXCEEDED, ABI_NOT_A_COUNTER, ABI_STATE_UNAVAILABLE };
enum { ABI_NOT_DELIVERED, ABI_BODY_UNAVAILABLE };
enum { ABI_LIMIT_REACHED, ABI_ENDING };

/* result<string, send-error> */
typedef struct abi_sent {
    uint8_t failed;
    union {
        abi_text id;
        abi_error error;
    } is;
} abi_sent;

/* result<_, error> */
typedef struct abi_done {
    uint8_t failed;
    union {
        abi_error error;
    } is;
} abi_done;

/* result<option<list<u8>>, error> */
typedef struct abi_got {
    uint8_t failed;
    union {
        abi_optional_text value;
        abi_error error;
    } is;
} abi_got;

/* result<list<string>, error> */
typedef struct abi_listed {
    uint8_t failed;
    union {
        struct {
            abi_text *data;
            size_t size;
        } keys;
        abi_error error;
    } is;
} abi_listed;

/* result<u64, extend-error>; an enum is one byte */
typedef struct abi_extended {
    uint8_t failed;
    union {
        uint64_t left;
        uint8_t error;
    } is;
} abi_extended;

/* body.error has no case with a number, so it is aligned as its text is */
typedef struct abi_body_error {
    uint8_t tag;
    abi_text problem;
} abi_body_error;

/* result<u64, body.error> */
typedef struct abi_sized {
    uint8_t failed;
    union {
        uint64_t size;
        abi_body_error error;
    } is;
} abi_sized;

/* result<list<u8>, body.error> */
typedef struct abi_piece {
    uint8_t failed;
    union {
        abi_text bytes;
        abi_body_error error;
    } is;
} abi_piece;

typedef struct abi_optional_u32 {
    uint8_t some;
    uint32_t value;
} abi_optional_u32;

GM_IMPORT("producer", "send") void abi_producer_send(const abi_outgoing *message, abi_sent *sent);
GM_IMPORT("producer", "reply") void abi_producer_reply(const abi_outgoing *message, abi_sent *sent);
GM_IMPORT("state", "get") void abi_state_get(const char *key, size_t key_size, abi_got *got);
GM_IMPORT("state", "set")
void abi_state_set(const char *key, size_t key_size, const char *value, size_t value_size, abi_done *done);
GM_IMPORT("state", "remove") void abi_state_remove(const char *key, size_t key_size, abi_done *done);
GM_IMPORT("state", "add") void abi_state_add(const char *key, size_t key_size, int64_t delta, abi_done *done);
GM_IMPORT("state", "list-keys")
void abi_state_list_keys(const char *prefix, size_t prefix_size, int32_t has_after, const char *after,
                         size_t after_size, uint32_t limit, abi_listed *listed);
GM_IMPORT("transaction", "mark") uint32_t abi_transaction_mark(void);
GM_IMPORT("transaction", "rollback-to") void abi_transaction_rollback_to(uint32_t to);
GM_IMPORT("delivery", "remaining") uint64_t abi_delivery_remaining(void);
GM_IMPORT("delivery", "extend") void abi_delivery_extend(uint64_t need, abi_extended *extended);
GM_IMPORT("delivery", "ending") int32_t abi_delivery_ending(void);
GM_IMPORT("delivery", "progress") void abi_delivery_progress(int32_t percent, const char *note, size_t note_size);
GM_IMPORT("delivery", "max-attempts") void abi_delivery_max_attempts(abi_optional_u32 *attempts);
GM_IMPORT("delivery", "previous-failure") void abi_delivery_previous_failure(abi_optional_text *reason);
GM_IMPORT("secrets", "get") void abi_secrets_get(const char *name, size_t name_size, abi_optional_text *value);
GM_IMPORT("body", "size") void abi_body_size(const char *of, size_t of_size, abi_sized *sized);
GM_IMPORT("body", "read")
void abi_body_read(const char *of, size_t of_size, uint64_t offset, uint32_t most, abi_piece *piece);

/* What the host calls: the memory for what it passes in, the handler, and the end of a call. */
GM_EXPORT("cabi_realloc") void *abi_realloc(void *old, size_t old_size, size_t align, size_t size);
GM_EXPORT("gristmill:queue/handler@0.1.0#handle") abi_outcome *abi_handle(abi_message *message);
GM_EXPORT("cabi_post_gristmill:queue/handler@0.1.0#handle") void abi_handled(abi_outcome *outcome);

#ifdef __wasm32__
/* As the canonical ABI has it; tests/tests/native.rs compares these numbers with the interface. */
static_assert(sizeof(abi_message) == 184, "types.message");
static_assert(sizeof(abi_outcome) == 32, "result<_, failure>");
static_assert(sizeof(abi_outgoing) == 144, "producer.send");
static_assert(sizeof(abi_sent) == 24 && sizeof(abi_got) == 24 && sizeof(abi_listed) == 24, "results");
#endif

#ifdef __cplusplus
}
#endif

#endif
