/*
 * From the wire (gristmill_abi.h) to what handlers see (gristmill.h), and back.
 *
 * A function here is the only caller of its import, so what a handler does not use is not imported,
 * and the configuration need not grant it. JSON is in gristmill_json.c.
 */
#include "gristmill.h"

#include "gristmill_abi.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Memory of the delivery ---- */

/* A piece of memory; it follows the block, or is elsewhere. */
typedef struct block {
    struct block *next;
    void *elsewhere;
} block;

static block *blocks;

static block *add_block(size_t size)
{
    block *added = (block *)calloc(1, sizeof(block) + size);
    if (!added)
        abort(); /* out of memory is a trap, and the message comes again */
    added->next = blocks;
    blocks = added;
    return added;
}

void *gm_alloc(size_t size)
{
    return add_block(size) + 1;
}

/* Keeps what came from the host until the delivery ends. Nothing was allocated for an empty list. */
static void keep(void *memory, size_t size)
{
    if (size > 0)
        add_block(0)->elsewhere = memory;
}

static void free_blocks(void)
{
    while (blocks) {
        block *next = blocks->next;
        free(blocks->elsewhere);
        free(blocks);
        blocks = next;
    }
}

/* One byte more than asked for, which is zero: so every text ends with one. */
void *abi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    char *memory;
    (void)align; /* never more than malloc gives */
    if (size == 0)
        return (void *)align;
    memory = (char *)realloc(old_size > 0 ? old : NULL, size + 1);
    if (!memory)
        abort();
    memory[size] = 0;
    return memory;
}

/* ---- Texts ---- */

const char *gm_vformat(const char *format, va_list arguments)
{
    va_list again;
    int size;
    char *text;
    va_copy(again, arguments);
    size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size < 0)
        abort();
    text = (char *)gm_alloc((size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, arguments);
    return text;
}

const char *gm_format(const char *format, ...)
{
    va_list arguments;
    const char *text;
    va_start(arguments, format);
    text = gm_vformat(format, arguments);
    va_end(arguments);
    return text;
}

void gm_append(gm_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    const char *text;
    size_t size;
    va_start(arguments, format);
    text = gm_vformat(format, arguments);
    va_end(arguments);
    size = strlen(text);
    if (buffer->size + size + 1 > buffer->room) {
        size_t room = 2 * (buffer->size + size + 1);
        char *larger = (char *)gm_alloc(room);
        if (buffer->size > 0)
            memcpy(larger, buffer->data, buffer->size);
        buffer->data = larger;
        buffer->room = room;
    }
    memcpy(buffer->data + buffer->size, text, size + 1);
    buffer->size += size;
}

size_t gm_utf8_sequence(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned least = 0x80, most = 0xbf;
    size_t length;
    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] == 0xe0)
        least = 0xa0;
    else if (at[0] == 0xed)
        most = 0x9f;
    else if (at[0] == 0xf0)
        least = 0x90;
    else if (at[0] == 0xf4)
        most = 0x8f;
    if (size < length || at[1] < least || at[1] > most)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return length;
}

static abi_text wire(const char *text)
{
    abi_text wired;
    wired.data = (char *)(text ? text : "");
    wired.size = text ? strlen(text) : 0;
    return wired;
}

static abi_optional_text wire_optional(const char *text)
{
    abi_optional_text wired;
    wired.some = text != NULL;
    wired.value = wire(text);
    return wired;
}

/* A text from the host, which is kept. */
static gm_bytes received(abi_text text)
{
    gm_bytes bytes;
    keep(text.data, text.size);
    bytes.data = text.size > 0 ? text.data : "";
    bytes.size = text.size;
    return bytes;
}

static const char *received_optional(abi_optional_text text)
{
    return text.some ? received(text.value).data : NULL;
}

/* ---- Results and errors ---- */

static gm_result result(gm_outcome outcome, const char *reason, uint64_t delay_ms)
{
    gm_result made;
    made.outcome = outcome;
    made.reason = reason;
    made.delay_ms = delay_ms;
    return made;
}

gm_result gm_ok(void)
{
    return result(GM_OK, NULL, 0);
}

gm_result gm_retry(const char *format, ...)
{
    va_list arguments;
    const char *reason;
    va_start(arguments, format);
    reason = gm_vformat(format, arguments);
    va_end(arguments);
    return result(GM_RETRY, reason, 0);
}

gm_result gm_retry_after(uint64_t delay_ms, const char *format, ...)
{
    va_list arguments;
    const char *reason;
    va_start(arguments, format);
    reason = gm_vformat(format, arguments);
    va_end(arguments);
    return result(GM_RETRY_AFTER, reason, delay_ms);
}

gm_result gm_reject(const char *format, ...)
{
    va_list arguments;
    const char *reason;
    va_start(arguments, format);
    reason = gm_vformat(format, arguments);
    va_end(arguments);
    return result(GM_REJECT, reason, 0);
}

gm_result gm_postpone(uint64_t delay_ms)
{
    return result(GM_POSTPONE, NULL, delay_ms);
}

static const gm_error *error(gm_error_code code, uint64_t limit, const char *message)
{
    gm_error *made = (gm_error *)gm_alloc(sizeof(gm_error));
    made->code = code;
    made->limit = limit;
    made->message = message;
    return made;
}

/* ---- A call ---- */

static gm_message *delivered(const abi_message *wired)
{
    size_t count = wired->attributes.size;
    gm_message *message = (gm_message *)gm_alloc(sizeof(gm_message));
    gm_attribute *attributes = (gm_attribute *)gm_alloc((count + 1) * sizeof(gm_attribute));
    for (size_t i = 0; i < count; i++) {
        gm_bytes value = received(wired->attributes.data[i].value);
        attributes[i].name = received(wired->attributes.data[i].name).data;
        attributes[i].value = value.data;
        attributes[i].value_size = value.size;
    }
    keep(wired->attributes.data, count);
    message->id = received(wired->id).data;
    message->queue = received(wired->queue).data;
    message->body = received(wired->body);
    message->content_type = received_optional(wired->content_type);
    message->attributes = attributes;
    message->attribute_count = count;
    message->group = received_optional(wired->group);
    message->correlation_id = received_optional(wired->correlation_id);
    message->causation_id = received_optional(wired->causation_id);
    message->reply_to = received_optional(wired->reply_to);
    message->message_type = received_optional(wired->message_type);
    message->schema_version = received_optional(wired->schema_version);
    message->source = received_optional(wired->source);
    if (wired->trace.some) {
        message->traceparent = received(wired->trace.traceparent).data;
        message->tracestate = received(wired->trace.tracestate).data;
    }
    message->enqueued_at_ms = wired->enqueued_at;
    message->expires_at_ms = wired->expires_at.some ? wired->expires_at.value : 0;
    message->attempt = wired->attempt;
    message->priority = wired->priority;
    return message;
}

/* A reason, as UTF-8 whatever it was made of: the host takes no other, and it must not get lost. */
static abi_text wire_reason(const char *reason)
{
    const char *from = reason ? reason : "";
    char *to = (char *)gm_alloc(strlen(from) + 1);
    abi_text wired;
    wired.data = to;
    while (*from) {
        size_t length = gm_utf8_sequence(from, strlen(from));
        if (length > 0)
            memcpy(to, from, length);
        else
            *to = '?';
        to += length > 0 ? length : 1;
        from += length > 0 ? length : 1;
    }
    wired.size = (size_t)(to - wired.data);
    return wired;
}

static void fail(abi_outcome *outcome, gm_result with)
{
    abi_failure *failure = &outcome->failure;
    outcome->failed = 1;
    switch (with.outcome) {
    case GM_RETRY_AFTER:
        failure->tag = ABI_RETRY_AFTER;
        failure->is.after.reason = wire_reason(with.reason);
        failure->is.after.delay = with.delay_ms;
        break;
    case GM_POSTPONE:
        failure->tag = ABI_POSTPONE;
        failure->is.delay = with.delay_ms;
        break;
    case GM_REJECT:
        failure->tag = ABI_REJECT;
        failure->is.reason = wire_reason(with.reason);
        break;
    default: /* no outcome that there is: the cautious thing */
        failure->tag = ABI_RETRY;
        failure->is.reason = wire_reason(with.reason);
        break;
    }
}

abi_outcome *abi_handle(abi_message *message)
{
    abi_outcome *outcome = (abi_outcome *)gm_alloc(sizeof(abi_outcome));
    gm_result is;
    keep(message, sizeof(abi_message));
    is = handle(delivered(message));
    fflush(stdout); /* nobody ends this program, so nobody else would */
    if (is.outcome != GM_OK)
        fail(outcome, is);
    return outcome;
}

void abi_handled(abi_outcome *outcome)
{
    (void)outcome;
    free_blocks();
}

const char *gm_attribute_of(const gm_message *message, const char *name)
{
    for (size_t i = 0; i < message->attribute_count; i++)
        if (strcmp(message->attributes[i].name, name) == 0)
            return message->attributes[i].value;
    return NULL;
}

/* ---- Sending ---- */

static const gm_error *send_error(const char *queue, abi_error is)
{
    switch (is.tag) {
    case ABI_NOT_PERMITTED:
        if (!queue)
            return error(GM_NOT_PERMITTED, 0,
                         "this handler may not reply: allow it in the configuration of the handler");
        return error(GM_NOT_PERMITTED, 0,
                     gm_format("cannot send to \"%s\": there is no such queue, or this handler may not send to it; "
                               "grant it in the configuration of the handler",
                               queue));
    case ABI_NO_RECIPIENT:
        return error(GM_NO_RECIPIENT, 0,
                     "cannot reply: the sender named no queue for an answer, or the message is not the one in hand");
    case ABI_SEND_TOO_LARGE:
        return error(GM_TOO_LARGE, is.is.limit,
                     gm_format("the body is too large to send: the queue takes at most %llu bytes",
                               (unsigned long long)is.is.limit));
    case ABI_TOO_MANY:
        return error(GM_TOO_MANY, 0,
                     "this delivery has sent as many messages or bytes as it may: raise the limit in the configuration "
                     "of the handler, or leave the rest to a message sent to its own queue");
    default:
        return error(GM_INVALID, 0,
                     gm_format("the message cannot be sent: %s", received(is.is.problem).data));
    }
}

static abi_attributes wire_attributes(const gm_attribute *attributes, size_t count)
{
    abi_attributes wired;
    wired.data = (abi_attribute *)gm_alloc((count + 1) * sizeof(abi_attribute));
    wired.size = count;
    for (size_t i = 0; i < count; i++) {
        wired.data[i].name = wire(attributes[i].name);
        wired.data[i].value = wire(attributes[i].value);
        if (attributes[i].value_size > 0)
            wired.data[i].value.size = attributes[i].value_size;
    }
    return wired;
}

static const abi_outgoing *outgoing(const char *to, const void *data, size_t size, const char *content_type,
                                    const gm_options *options)
{
    static gm_options none;
    const gm_options *with = options ? options : &none;
    abi_outgoing *message = (abi_outgoing *)gm_alloc(sizeof(abi_outgoing));
    message->to = wire(to);
    message->body.data = (char *)(size > 0 ? data : "");
    message->body.size = size;
    message->content_type = wire_optional(with->content_type ? with->content_type : content_type);
    message->attributes = wire_attributes(with->attributes, with->attribute_count);
    message->group = wire_optional(with->group);
    message->correlation_id = wire_optional(with->correlation_id);
    message->reply_to = wire_optional(with->reply_to);
    message->message_type = wire_optional(with->message_type);
    message->schema_version = wire_optional(with->schema_version);
    message->priority.some = with->has_priority;
    message->priority.value = with->priority;
    message->dedup_id = wire_optional(with->dedup_id);
    message->delay.some = with->delay_ms > 0;
    message->delay.value = with->delay_ms;
    message->ttl.some = with->ttl_ms > 0;
    message->ttl.value = with->ttl_ms;
    return message;
}

/* What came of a send; `queue` is NULL for a reply. */
static const gm_error *sent(const char *queue, abi_sent is, const gm_options *options)
{
    const char *id;
    if (is.failed)
        return send_error(queue, is.is.error);
    id = received(is.is.id).data;
    if (options && options->id)
        *options->id = id;
    return NULL;
}

static const gm_error *send_as(const char *queue, const void *data, size_t size, const char *content_type,
                               const gm_options *options)
{
    abi_sent is;
    abi_producer_send(outgoing(queue, data, size, content_type, options), &is);
    return sent(queue, is, options);
}

static const gm_error *reply_as(const gm_message *to, const void *data, size_t size, const char *content_type,
                                const gm_options *options)
{
    abi_sent is;
    abi_producer_reply(outgoing(to->id, data, size, content_type, options), &is);
    return sent(NULL, is, options);
}

static const char TEXT[] = "text/plain; charset=utf-8";
static const char JSON[] = "application/json";

const gm_error *gm_send_text(const char *queue, const char *text, const gm_options *options)
{
    return send_as(queue, text, strlen(text), TEXT, options);
}

const gm_error *gm_send_json(const char *queue, const char *json, const gm_options *options)
{
    return send_as(queue, json, strlen(json), JSON, options);
}

const gm_error *gm_send_bytes(const char *queue, const void *data, size_t size, const gm_options *options)
{
    return send_as(queue, data, size, NULL, options);
}

const gm_error *gm_reply_text(const gm_message *to, const char *text, const gm_options *options)
{
    return reply_as(to, text, strlen(text), TEXT, options);
}

const gm_error *gm_reply_json(const gm_message *to, const char *json, const gm_options *options)
{
    return reply_as(to, json, strlen(json), JSON, options);
}

const gm_error *gm_reply_bytes(const gm_message *to, const void *data, size_t size, const gm_options *options)
{
    return reply_as(to, data, size, NULL, options);
}

/* ---- State ---- */

static const gm_error *not_a_counter(const char *key)
{
    return error(GM_NOT_A_COUNTER, 0,
                 gm_format("state key \"%s\" holds no counter: it was set, not added to; use another key, or remove "
                           "it first",
                           key));
}

static const gm_error *state_error(const char *key, abi_error is)
{
    switch (is.tag) {
    case ABI_INVALID_KEY:
        return error(GM_INVALID_KEY, 0,
                     gm_format("a state key must have 1 to 512 bytes, but this one has %zu", strlen(key)));
    case ABI_STATE_TOO_LARGE:
        return error(GM_TOO_LARGE, is.is.limit,
                     gm_format("the value for state key \"%s\" is too large: at most %llu bytes are allowed", key,
                               (unsigned long long)is.is.limit));
    case ABI_QUOTA_EXCEEDED:
        return error(GM_QUOTA_EXCEEDED, 0,
                     "the state of this handler is full, or this delivery has touched as many keys or bytes as it "
                     "may: raise the limit in the configuration of the handler");
    case ABI_NOT_A_COUNTER:
        return not_a_counter(key);
    default:
        return error(GM_UNAVAILABLE, 0,
                     gm_format("the state is unavailable: %s", received(is.is.problem).data));
    }
}

static const gm_error *done(const char *key, abi_done is)
{
    return is.failed ? state_error(key, is.is.error) : NULL;
}

const gm_error *gm_state_get(const char *key, gm_bytes *value)
{
    abi_got got;
    value->data = NULL;
    value->size = 0;
    abi_state_get(key, strlen(key), &got);
    if (got.failed)
        return state_error(key, got.is.error);
    if (got.is.value.some)
        *value = received(got.is.value.value);
    return NULL;
}

const gm_error *gm_state_set(const char *key, const void *data, size_t size)
{
    abi_done is;
    abi_state_set(key, strlen(key), (const char *)(size > 0 ? data : ""), size, &is);
    return done(key, is);
}

const gm_error *gm_state_set_text(const char *key, const char *text)
{
    return gm_state_set(key, text, strlen(text));
}

const gm_error *gm_state_remove(const char *key)
{
    abi_done is;
    abi_state_remove(key, strlen(key), &is);
    return done(key, is);
}

const gm_error *gm_state_add(const char *key, int64_t delta)
{
    abi_done is;
    abi_state_add(key, strlen(key), delta, &is);
    return done(key, is);
}

const gm_error *gm_state_counter(const char *key, int64_t *count)
{
    gm_bytes value;
    uint64_t sum = 0;
    const gm_error *failed = gm_state_get(key, &value);
    *count = 0;
    if (failed || !value.data)
        return failed;
    if (value.size != 8)
        return not_a_counter(key);
    for (int i = 7; i >= 0; i--)
        sum = sum << 8 | (unsigned char)value.data[i];
    *count = (int64_t)sum;
    return NULL;
}

const gm_error *gm_state_keys(const char *prefix, const char *after, uint32_t limit, gm_keys *keys)
{
    abi_listed listed;
    keys->keys = NULL;
    keys->count = 0;
    abi_state_list_keys(prefix, strlen(prefix), after != NULL, after ? after : "", after ? strlen(after) : 0, limit,
                        &listed);
    if (listed.failed)
        return state_error(prefix, listed.is.error);
    keys->keys = (const char **)gm_alloc((listed.is.keys.size + 1) * sizeof(char *));
    keys->count = listed.is.keys.size;
    for (size_t i = 0; i < keys->count; i++)
        keys->keys[i] = received(listed.is.keys.data[i]).data;
    keep(listed.is.keys.data, listed.is.keys.size);
    return NULL;
}

/* ---- The delivery ---- */

uint32_t gm_mark(void)
{
    return abi_transaction_mark();
}

void gm_rollback_to(uint32_t mark)
{
    abi_transaction_rollback_to(mark);
}

uint64_t gm_remaining_ms(void)
{
    return abi_delivery_remaining();
}

const gm_error *gm_extend(uint64_t need_ms, uint64_t *left_ms)
{
    abi_extended is;
    abi_delivery_extend(need_ms, &is);
    if (is.failed && is.is.error == ABI_LIMIT_REACHED)
        return error(GM_LIMIT_REACHED, 0,
                     "no more time: the most that a delivery may take in all would be exceeded; raise max_timeout in "
                     "the configuration of the handler");
    if (is.failed)
        return error(GM_ENDING, 0, "no more time: the delivery is being ended");
    if (left_ms)
        *left_ms = is.is.left;
    return NULL;
}

bool gm_ending(void)
{
    return abi_delivery_ending() != 0;
}

void gm_progress(uint8_t percent, const char *note)
{
    abi_delivery_progress(percent, note, strlen(note));
}

uint32_t gm_max_attempts(void)
{
    abi_optional_u32 attempts;
    abi_delivery_max_attempts(&attempts);
    return attempts.some ? attempts.value : 0;
}

const char *gm_previous_failure(void)
{
    abi_optional_text reason;
    abi_delivery_previous_failure(&reason);
    return received_optional(reason);
}

const char *gm_secret(const char *name)
{
    abi_optional_text value;
    abi_secrets_get(name, strlen(name), &value);
    return received_optional(value);
}

static const gm_error *body_error(abi_body_error is)
{
    if (is.tag == ABI_NOT_DELIVERED)
        return error(GM_NOT_DELIVERED, 0, "the message is not of this delivery, so its body cannot be read");
    return error(GM_UNAVAILABLE, 0, received(is.problem).data);
}

const gm_error *gm_body_size(const gm_message *message, uint64_t *size)
{
    abi_sized is;
    abi_body_size(message->id, strlen(message->id), &is);
    if (is.failed)
        return body_error(is.is.error);
    *size = is.is.size;
    return NULL;
}

const gm_error *gm_body_read(const gm_message *message, uint64_t offset, uint32_t most, gm_bytes *piece)
{
    abi_piece is;
    piece->data = NULL;
    piece->size = 0;
    abi_body_read(message->id, strlen(message->id), offset, most, &is);
    if (is.failed)
        return body_error(is.is.error);
    *piece = received(is.is.bytes);
    return NULL;
}
