/*
 * The functions of gristmill_abi.h for native builds: a host in small, for tests.
 *
 * Its rules are the host's, as far as one delivery of one message can see them. All memory of a fake
 * lives until the fake is freed.
 */
#include "gristmill_testing.h"

#include "../gristmill_abi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SENDS = 100,
    MAX_SEND_BYTES = 4 * 1024 * 1024,
    MAX_ATTRIBUTES = 64,
    MAX_ATTRIBUTE_NAME = 256,
    MAX_ATTRIBUTE_BYTES = 64 * 1024,
    MAX_ENVELOPE_FIELD = 1024,
    MAX_STATE_KEY = 512,
    MAX_STATE_VALUE = 256 * 1024,
    MAX_STATE_KEYS = 1000,
    MAX_STATE_BYTES = 4 * 1024 * 1024,
    MAX_LISTED_KEYS = 1000,
    LISTED_PER_KEY = 10,
    MAX_BODY = 64 * 1024 * 1024,
    MAX_BODY_READ = 1024 * 1024
};

typedef struct piece {
    struct piece *next;
} piece;

/* Names with something: queues with their largest body, secrets, the values of the state. */
typedef struct entry {
    const char *name;
    const char *data;
    size_t size;
    uint64_t number;
    bool counter;
} entry;

typedef struct entries {
    entry *data;
    size_t count;
} entries;

/* All that a rollback undoes. */
typedef struct changes {
    entries state;   /* by key, in byte order */
    entries written; /* the size of each value that was written */
    gm_sent *sent;
    size_t sent_count;
    size_t sent_bytes;
} changes;

struct gm_delivery {
    piece *pieces;
    bool restricted;
    entries queues;
    entries secrets;
    uint32_t max_attempts;
    const char *previous_failure;
    uint64_t remaining, most;
    bool ending;
    changes kept;
    const char *note;
    uint8_t percent;
    unsigned long long ids;
    /* The run in progress. */
    const gm_message *message;
    bool large;
    uint64_t left;
    changes held;
    entries touched;
    size_t listed;
    changes *marks;
    size_t mark_count;
};

/* The fake that a run is in progress with. */
static gm_delivery *running;

static gm_delivery *in_progress(void)
{
    if (!running) {
        fprintf(stderr, "no delivery is running: call the handler through gm_run\n");
        abort();
    }
    return running;
}

static void *get_memory(gm_delivery *of, size_t size)
{
    piece *added = (piece *)calloc(1, sizeof(piece) + size);
    if (!added)
        abort();
    added->next = of->pieces;
    of->pieces = added;
    return added + 1;
}

static char *copy(gm_delivery *of, const void *data, size_t size)
{
    char *copied = (char *)get_memory(of, size + 1);
    if (size > 0)
        memcpy(copied, data, size);
    return copied;
}

static const char *copy_text(gm_delivery *of, const char *text)
{
    return text ? copy(of, text, strlen(text)) : NULL;
}

static const char *copy_optional(gm_delivery *of, abi_optional_text text)
{
    return text.some ? copy(of, text.value.data, text.value.size) : NULL;
}

/* ---- Entries ---- */

static entry *find(const entries *in, const char *name)
{
    for (size_t i = 0; i < in->count; i++)
        if (strcmp(in->data[i].name, name) == 0)
            return &in->data[i];
    return NULL;
}

/* The entry of this name, which is made if need be, in byte order. */
static entry *obtain(gm_delivery *of, entries *in, const char *name)
{
    entry *found = find(in, name), *larger;
    size_t at = 0;
    if (found)
        return found;
    larger = (entry *)get_memory(of, (in->count + 1) * sizeof(entry));
    while (at < in->count && strcmp(in->data[at].name, name) < 0)
        at++;
    if (at > 0)
        memcpy(larger, in->data, at * sizeof(entry));
    if (at < in->count)
        memcpy(larger + at + 1, in->data + at, (in->count - at) * sizeof(entry));
    larger[at].name = copy_text(of, name);
    in->data = larger;
    in->count++;
    return &larger[at];
}

static void erase(entries *in, const char *name)
{
    entry *found = find(in, name);
    if (!found)
        return;
    memmove(found, found + 1, (size_t)(in->data + in->count - (found + 1)) * sizeof(entry));
    in->count--;
}

static void put(gm_delivery *of, entries *in, const char *name, const void *data, size_t size, bool counter)
{
    entry *into = obtain(of, in, name);
    into->data = copy(of, data, size);
    into->size = size;
    into->counter = counter;
}

static entries copy_entries(gm_delivery *of, entries in)
{
    entries copied;
    copied.data = (entry *)copy(of, in.data, in.count * sizeof(entry));
    copied.count = in.count;
    return copied;
}

static changes copy_changes(gm_delivery *of, const changes *in)
{
    changes copied = *in;
    copied.state = copy_entries(of, in->state);
    copied.written = copy_entries(of, in->written);
    copied.sent = (gm_sent *)copy(of, in->sent, in->sent_count * sizeof(gm_sent));
    return copied;
}

/* ---- Setting the scene ---- */

gm_delivery *gm_delivery_new(void)
{
    gm_delivery *made = (gm_delivery *)calloc(1, sizeof(gm_delivery));
    if (!made)
        abort();
    made->max_attempts = 10;
    made->remaining = 30 * 1000;
    made->most = 15 * 60 * 1000;
    return made;
}

void gm_delivery_free(gm_delivery *delivery)
{
    while (delivery->pieces) {
        piece *next = delivery->pieces->next;
        free(delivery->pieces);
        delivery->pieces = next;
    }
    free(delivery);
}

void gm_allow(gm_delivery *delivery, const char *queue)
{
    gm_allow_up_to(delivery, queue, MAX_BODY);
}

void gm_allow_up_to(gm_delivery *delivery, const char *queue, uint64_t max_body)
{
    delivery->restricted = true;
    obtain(delivery, &delivery->queues, queue)->number = max_body;
}

void gm_set_state(gm_delivery *delivery, const char *key, const void *data, size_t size)
{
    put(delivery, &delivery->kept.state, key, data, size, false);
}

static void put_counter(gm_delivery *delivery, entries *in, const char *key, int64_t count)
{
    char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)((uint64_t)count >> (8 * i) & 0xff);
    put(delivery, in, key, bytes, sizeof bytes, true);
}

static int64_t count_of(const entry *counter)
{
    uint64_t sum = 0;
    for (int i = 7; i >= 0; i--)
        sum = sum << 8 | (unsigned char)counter->data[i];
    return (int64_t)sum;
}

void gm_set_counter(gm_delivery *delivery, const char *key, int64_t count)
{
    put_counter(delivery, &delivery->kept.state, key, count);
}

void gm_set_secret(gm_delivery *delivery, const char *name, const char *value)
{
    put(delivery, &delivery->secrets, name, value, strlen(value), false);
}

void gm_set_max_attempts(gm_delivery *delivery, uint32_t limit)
{
    delivery->max_attempts = limit;
}

void gm_set_previous_failure(gm_delivery *delivery, const char *reason)
{
    delivery->previous_failure = copy_text(delivery, reason);
}

void gm_set_remaining(gm_delivery *delivery, uint64_t remaining_ms, uint64_t most_ms)
{
    delivery->remaining = remaining_ms;
    delivery->most = most_ms;
}

void gm_set_ending(gm_delivery *delivery, bool ending)
{
    delivery->ending = ending;
}

gm_message gm_test_bytes(const void *data, size_t size)
{
    gm_message message;
    memset(&message, 0, sizeof message);
    message.id = "00000000-0000-7000-8000-000000000001";
    message.queue = "test";
    message.body.data = (const char *)data;
    message.body.size = size;
    message.enqueued_at_ms = 1700000000000u;
    message.attempt = 1;
    message.priority = 4;
    return message;
}

gm_message gm_test_text(const char *text)
{
    gm_message message = gm_test_bytes(text, strlen(text));
    message.content_type = "text/plain; charset=utf-8";
    return message;
}

gm_message gm_test_json(const char *json)
{
    gm_message message = gm_test_bytes(json, strlen(json));
    message.content_type = "application/json";
    return message;
}

/* ---- A run ---- */

/* Texts as the host passes them: in memory that the guest gives. */
static abi_text passed_bytes(const void *data, size_t size)
{
    abi_text text;
    text.data = (char *)abi_realloc(NULL, 0, 1, size);
    text.size = size;
    if (size > 0)
        memcpy(text.data, data, size);
    return text;
}

static abi_text passed(const char *text)
{
    return passed_bytes(text, strlen(text));
}

static abi_optional_text passed_optional(const char *text)
{
    abi_optional_text optional;
    memset(&optional, 0, sizeof optional);
    optional.some = text != NULL;
    if (text)
        optional.value = passed(text);
    return optional;
}

static abi_message *passed_message(const gm_message *message, bool large)
{
    abi_message *wired = (abi_message *)abi_realloc(NULL, 0, 8, sizeof(abi_message));
    size_t count = message->attribute_count;
    memset(wired, 0, sizeof *wired);
    wired->id = passed(message->id);
    wired->queue = passed(message->queue);
    wired->body = passed_bytes(message->body.data, large ? 0 : message->body.size);
    wired->content_type = passed_optional(message->content_type);
    wired->attributes.data = (abi_attribute *)abi_realloc(NULL, 0, 4, count * sizeof(abi_attribute));
    wired->attributes.size = count;
    for (size_t i = 0; i < count; i++) {
        const gm_attribute *from = &message->attributes[i];
        wired->attributes.data[i].name = passed(from->name);
        wired->attributes.data[i].value =
            passed_bytes(from->value, from->value_size > 0 ? from->value_size : strlen(from->value));
    }
    wired->group = passed_optional(message->group);
    wired->correlation_id = passed_optional(message->correlation_id);
    wired->causation_id = passed_optional(message->causation_id);
    wired->reply_to = passed_optional(message->reply_to);
    wired->message_type = passed_optional(message->message_type);
    wired->schema_version = passed_optional(message->schema_version);
    wired->source = passed_optional(message->source);
    wired->priority = message->priority;
    wired->trace.some = message->traceparent != NULL;
    if (message->traceparent) {
        wired->trace.traceparent = passed(message->traceparent);
        wired->trace.tracestate = passed(message->tracestate ? message->tracestate : "");
    }
    wired->enqueued_at = message->enqueued_at_ms;
    wired->expires_at.some = message->expires_at_ms > 0;
    wired->expires_at.value = message->expires_at_ms;
    wired->attempt = message->attempt;
    return wired;
}

static gm_result result_of(gm_delivery *delivery, const abi_outcome *outcome)
{
    const abi_failure *failure = &outcome->failure;
    gm_result is;
    memset(&is, 0, sizeof is);
    if (!outcome->failed)
        return is;
    switch (failure->tag) {
    case ABI_RETRY_AFTER:
        is.outcome = GM_RETRY_AFTER;
        is.reason = copy(delivery, failure->is.after.reason.data, failure->is.after.reason.size);
        is.delay_ms = failure->is.after.delay;
        break;
    case ABI_POSTPONE:
        is.outcome = GM_POSTPONE;
        is.delay_ms = failure->is.delay;
        break;
    default:
        is.outcome = failure->tag == ABI_REJECT ? GM_REJECT : GM_RETRY;
        is.reason = copy(delivery, failure->is.reason.data, failure->is.reason.size);
        break;
    }
    return is;
}

static gm_result run(gm_delivery *delivery, const gm_message *message, bool large)
{
    abi_outcome *outcome;
    gm_result is;
    if (running) {
        fprintf(stderr, "a delivery is already running: a handler cannot run another\n");
        abort();
    }
    delivery->message = message;
    delivery->large = large;
    delivery->left = delivery->remaining;
    delivery->held = copy_changes(delivery, &delivery->kept);
    delivery->held.sent_bytes = 0;
    delivery->held.written.count = 0;
    delivery->touched.count = 0;
    delivery->listed = 0;
    delivery->mark_count = 0;
    delivery->note = NULL;
    running = delivery;
    outcome = abi_handle(passed_message(message, large));
    is = result_of(delivery, outcome);
    abi_handled(outcome);
    running = NULL;
    if (is.outcome == GM_OK)
        delivery->kept = delivery->held;
    return is;
}

gm_result gm_run(gm_delivery *delivery, const gm_message *message)
{
    return run(delivery, message, false);
}

gm_result gm_run_large(gm_delivery *delivery, const gm_message *message)
{
    return run(delivery, message, true);
}

size_t gm_sent_count(const gm_delivery *delivery)
{
    return delivery->kept.sent_count;
}

const gm_sent *gm_sent_at(const gm_delivery *delivery, size_t index)
{
    return index < delivery->kept.sent_count ? &delivery->kept.sent[index] : NULL;
}

gm_bytes gm_state_of(const gm_delivery *delivery, const char *key)
{
    const entry *found = find(&delivery->kept.state, key);
    gm_bytes value = {NULL, 0};
    if (found) {
        value.data = found->data;
        value.size = found->size;
    }
    return value;
}

int64_t gm_counter(const gm_delivery *delivery, const char *key)
{
    const entry *found = find(&delivery->kept.state, key);
    if (found && !found->counter) {
        fprintf(stderr, "\"%s\" holds no counter\n", key);
        abort();
    }
    return found ? count_of(found) : 0;
}

size_t gm_state_count(const gm_delivery *delivery)
{
    return delivery->kept.state.count;
}

const char *gm_progress_of(const gm_delivery *delivery, uint8_t *percent)
{
    if (percent)
        *percent = delivery->percent;
    return delivery->note;
}

/* ---- producer ---- */

static abi_error failed_with(uint8_t tag)
{
    abi_error is;
    memset(&is, 0, sizeof is);
    is.tag = tag;
    return is;
}

static bool has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

/* What is wrong with a field of the envelope, or NULL. */
static const char *check_field(const char *field, abi_optional_text value)
{
    if (!value.some)
        return NULL;
    if (value.value.size == 0 || value.value.size > MAX_ENVELOPE_FIELD)
        return gm_format("%s must have 1 to %d bytes, but has %zu", field, MAX_ENVELOPE_FIELD, value.value.size);
    if (has_control(value.value.data, value.value.size))
        return gm_format("%s must not contain control characters", field);
    return NULL;
}

static bool same(abi_text a, abi_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static const char *check_attributes(const abi_attributes *attributes)
{
    static const char reserved[] = "gristmill-";
    size_t bytes = 0;
    for (size_t i = 0; i < attributes->size; i++)
        bytes += attributes->data[i].name.size + attributes->data[i].value.size;
    if (attributes->size > MAX_ATTRIBUTES || bytes > MAX_ATTRIBUTE_BYTES)
        return "a message has at most 64 attributes of 64 KiB together";
    for (size_t i = 0; i < attributes->size; i++) {
        abi_text name = attributes->data[i].name;
        if (name.size == 0 || name.size > MAX_ATTRIBUTE_NAME || has_control(name.data, name.size))
            return gm_format("attribute name \"%s\" must have 1 to 256 bytes and no control characters", name.data);
        if (strncmp(name.data, reserved, sizeof reserved - 1) == 0)
            return gm_format("attribute name \"%s\" is reserved", name.data);
        for (size_t k = 0; k < i; k++)
            if (same(attributes->data[k].name, name))
                return gm_format("attribute \"%s\" is given twice", name.data);
    }
    return NULL;
}

static const char *check(const abi_outgoing *message)
{
    const struct {
        const char *field;
        abi_optional_text value;
    } fields[] = {
        {"content_type", message->content_type},
        {"group", message->group},
        {"correlation_id", message->correlation_id},
        {"type", message->message_type},
        {"schema_version", message->schema_version},
        {"dedup_id", message->dedup_id},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *problem = check_field(fields[i].field, fields[i].value);
        if (problem)
            return problem;
    }
    if (message->priority.some && message->priority.value > 9)
        return "the priority must be 0 to 9";
    if (message->ttl.some && message->ttl.value <= (message->delay.some ? message->delay.value : 0))
        return "the message would expire before it is due";
    return check_attributes(&message->attributes);
}

/* Keeps the message with what is held, as whoever tests wants to see it. */
static const char *hold(gm_delivery *delivery, const char *to, const abi_outgoing *message, bool reply)
{
    changes *held = &delivery->held;
    size_t count = message->attributes.size;
    gm_sent *sent = (gm_sent *)get_memory(delivery, (held->sent_count + 1) * sizeof(gm_sent));
    gm_sent *last = sent + held->sent_count;
    gm_attribute *attributes = (gm_attribute *)get_memory(delivery, (count + 1) * sizeof(gm_attribute));
    char id[64];
    for (size_t i = 0; i < count; i++) {
        abi_text value = message->attributes.data[i].value;
        attributes[i].name = copy(delivery, message->attributes.data[i].name.data, message->attributes.data[i].name.size);
        attributes[i].value = copy(delivery, value.data, value.size);
        attributes[i].value_size = value.size;
    }
    if (held->sent_count > 0)
        memcpy(sent, held->sent, held->sent_count * sizeof(gm_sent));
    snprintf(id, sizeof id, "00000000-0000-7000-9000-%012llx", ++delivery->ids);
    last->to = copy_text(delivery, to);
    last->id = copy_text(delivery, id);
    last->body.data = copy(delivery, message->body.data, message->body.size);
    last->body.size = message->body.size;
    last->reply = reply;
    last->options.content_type = copy_optional(delivery, message->content_type);
    last->options.attributes = attributes;
    last->options.attribute_count = count;
    last->options.group = copy_optional(delivery, message->group);
    last->options.correlation_id = copy_optional(delivery, message->correlation_id);
    last->options.reply_to = copy_optional(delivery, message->reply_to);
    last->options.message_type = copy_optional(delivery, message->message_type);
    last->options.schema_version = copy_optional(delivery, message->schema_version);
    last->options.dedup_id = copy_optional(delivery, message->dedup_id);
    last->options.delay_ms = message->delay.some ? message->delay.value : 0;
    last->options.ttl_ms = message->ttl.some ? message->ttl.value : 0;
    last->options.has_priority = message->priority.some;
    last->options.priority = message->priority.value;
    held->sent = sent;
    held->sent_count++;
    held->sent_bytes += message->body.size;
    return last->id;
}

static void send_to(gm_delivery *delivery, const char *to, uint64_t max_body, const abi_outgoing *message, bool reply,
                    abi_sent *sent)
{
    const changes *held = &delivery->held;
    const char *problem = check(message);
    memset(sent, 0, sizeof *sent);
    sent->failed = 1;
    if (message->body.size > max_body) {
        sent->is.error = failed_with(ABI_SEND_TOO_LARGE);
        sent->is.error.is.limit = max_body;
    } else if (problem) {
        sent->is.error = failed_with(ABI_INVALID);
        sent->is.error.is.problem = passed(problem);
    } else if (held->sent_count - delivery->kept.sent_count >= MAX_SENDS ||
               held->sent_bytes + message->body.size > MAX_SEND_BYTES) {
        sent->is.error = failed_with(ABI_TOO_MANY);
    } else {
        sent->failed = 0;
        sent->is.id = passed(hold(delivery, to, message, reply));
    }
}

void abi_producer_send(const abi_outgoing *message, abi_sent *sent)
{
    gm_delivery *delivery = in_progress();
    const char *to = copy(delivery, message->to.data, message->to.size);
    const entry *queue = find(&delivery->queues, to);
    if (delivery->restricted && !queue) {
        memset(sent, 0, sizeof *sent);
        sent->failed = 1;
        sent->is.error = failed_with(ABI_NOT_PERMITTED);
        return;
    }
    send_to(delivery, to, queue ? queue->number : (uint64_t)MAX_BODY, message, false, sent);
}

void abi_producer_reply(const abi_outgoing *message, abi_sent *sent)
{
    gm_delivery *delivery = in_progress();
    const gm_message *request = delivery->message;
    const char *to = copy(delivery, message->to.data, message->to.size);
    abi_outgoing answer = *message;
    const entry *queue;
    if (strcmp(to, request->id) != 0 || !request->reply_to) {
        memset(sent, 0, sizeof *sent);
        sent->failed = 1;
        sent->is.error = failed_with(ABI_NO_RECIPIENT);
        return;
    }
    if (!answer.correlation_id.some) {
        const char *tied = request->correlation_id ? request->correlation_id : request->id;
        answer.correlation_id.some = 1;
        answer.correlation_id.value.data = copy(delivery, tied, strlen(tied));
        answer.correlation_id.value.size = strlen(tied);
    }
    queue = find(&delivery->queues, request->reply_to);
    send_to(delivery, request->reply_to, queue ? queue->number : (uint64_t)MAX_BODY, &answer, true, sent);
}

/* ---- state ---- */

/* Counts a key as touched; says what is wrong with that, if something is. */
static bool refuse_touch(gm_delivery *delivery, const char *key, size_t size, abi_error *is)
{
    if (size == 0 || size > MAX_STATE_KEY) {
        *is = failed_with(ABI_INVALID_KEY);
        return true;
    }
    if (!find(&delivery->touched, key) && delivery->touched.count >= MAX_STATE_KEYS) {
        *is = failed_with(ABI_QUOTA_EXCEEDED);
        return true;
    }
    obtain(delivery, &delivery->touched, key);
    return false;
}

/* What is written counts once per key. */
static bool refuse_write(gm_delivery *delivery, const char *key, size_t size, abi_error *is)
{
    entries *written = &delivery->held.written;
    size_t total = size;
    for (size_t i = 0; i < written->count; i++)
        if (strcmp(written->data[i].name, key) != 0)
            total += written->data[i].size;
    if (total > MAX_STATE_BYTES) {
        *is = failed_with(ABI_QUOTA_EXCEEDED);
        return true;
    }
    obtain(delivery, written, key)->size = size;
    return false;
}

void abi_state_get(const char *key, size_t key_size, abi_got *got)
{
    gm_delivery *delivery = in_progress();
    const entry *found;
    memset(got, 0, sizeof *got);
    got->failed = refuse_touch(delivery, key, key_size, &got->is.error);
    found = got->failed ? NULL : find(&delivery->held.state, key);
    if (!found)
        return;
    got->is.value.some = 1;
    got->is.value.value = passed_bytes(found->data, found->size);
}

void abi_state_set(const char *key, size_t key_size, const char *value, size_t value_size, abi_done *done)
{
    gm_delivery *delivery = in_progress();
    memset(done, 0, sizeof *done);
    if (value_size > MAX_STATE_VALUE) {
        done->failed = 1;
        done->is.error = failed_with(ABI_STATE_TOO_LARGE);
        done->is.error.is.limit = MAX_STATE_VALUE;
        return;
    }
    done->failed = refuse_touch(delivery, key, key_size, &done->is.error) ||
                   refuse_write(delivery, key, value_size, &done->is.error);
    if (!done->failed)
        put(delivery, &delivery->held.state, key, value, value_size, false);
}

void abi_state_remove(const char *key, size_t key_size, abi_done *done)
{
    gm_delivery *delivery = in_progress();
    memset(done, 0, sizeof *done);
    done->failed = refuse_touch(delivery, key, key_size, &done->is.error) ||
                   refuse_write(delivery, key, 0, &done->is.error);
    if (!done->failed)
        erase(&delivery->held.state, key);
}

void abi_state_add(const char *key, size_t key_size, int64_t delta, abi_done *done)
{
    gm_delivery *delivery = in_progress();
    const entry *found;
    memset(done, 0, sizeof *done);
    done->failed = refuse_touch(delivery, key, key_size, &done->is.error);
    if (done->failed)
        return;
    found = find(&delivery->held.state, key);
    if (found && !found->counter) {
        done->failed = 1;
        done->is.error = failed_with(ABI_NOT_A_COUNTER);
        return;
    }
    done->failed = refuse_write(delivery, key, 8, &done->is.error);
    if (!done->failed) {
        uint64_t before = found ? (uint64_t)count_of(found) : 0;
        put_counter(delivery, &delivery->held.state, key, (int64_t)(before + (uint64_t)delta));
    }
}

void abi_state_list_keys(const char *prefix, size_t prefix_size, int32_t has_after, const char *after,
                         size_t after_size, uint32_t limit, abi_listed *listed)
{
    gm_delivery *delivery = in_progress();
    const entries *state = &delivery->held.state;
    abi_text *keys;
    size_t count = 0;
    memset(listed, 0, sizeof *listed);
    if (prefix_size > MAX_STATE_KEY || after_size > MAX_STATE_KEY) {
        listed->failed = 1;
        listed->is.error = failed_with(ABI_INVALID_KEY);
        return;
    }
    if (delivery->listed >= (size_t)MAX_STATE_KEYS * LISTED_PER_KEY) {
        listed->failed = 1;
        listed->is.error = failed_with(ABI_QUOTA_EXCEEDED);
        return;
    }
    limit = limit > MAX_LISTED_KEYS ? (uint32_t)MAX_LISTED_KEYS : limit;
    keys = (abi_text *)abi_realloc(NULL, 0, 4, (state->count + 1) * sizeof(abi_text));
    for (size_t i = 0; i < state->count && count < limit; i++) {
        const char *key = state->data[i].name;
        if (strncmp(key, prefix, prefix_size) == 0 && (!has_after || strcmp(key, after) > 0))
            keys[count++] = passed(key);
    }
    delivery->listed += 1 + count;
    if (count == 0)
        free(keys); /* as the host does, nothing is passed for an empty list */
    listed->is.keys.data = count > 0 ? keys : NULL;
    listed->is.keys.size = count;
}

/* ---- The rest ---- */

uint32_t abi_transaction_mark(void)
{
    gm_delivery *delivery = in_progress();
    size_t count = delivery->mark_count;
    changes *marks = (changes *)get_memory(delivery, (count + 1) * sizeof(changes));
    if (count > 0)
        memcpy(marks, delivery->marks, count * sizeof(changes));
    marks[count] = copy_changes(delivery, &delivery->held);
    delivery->marks = marks;
    delivery->mark_count++;
    return (uint32_t)count;
}

void abi_transaction_rollback_to(uint32_t to)
{
    gm_delivery *delivery = in_progress();
    if (to >= delivery->mark_count) {
        fprintf(stderr, "there is no mark %u: the host would trap here\n", (unsigned)to);
        abort();
    }
    delivery->held = copy_changes(delivery, &delivery->marks[to]);
    delivery->mark_count = to + 1;
}

uint64_t abi_delivery_remaining(void)
{
    return in_progress()->left;
}

void abi_delivery_extend(uint64_t need, abi_extended *extended)
{
    gm_delivery *delivery = in_progress();
    memset(extended, 0, sizeof *extended);
    extended->failed = delivery->ending || need > delivery->most;
    if (extended->failed) {
        extended->is.error = delivery->ending ? ABI_ENDING : ABI_LIMIT_REACHED;
        return;
    }
    delivery->left = delivery->left > need ? delivery->left : need;
    extended->is.left = delivery->left;
}

int32_t abi_delivery_ending(void)
{
    return in_progress()->ending;
}

void abi_delivery_progress(int32_t percent, const char *note, size_t note_size)
{
    gm_delivery *delivery = in_progress();
    delivery->percent = (uint8_t)percent;
    delivery->note = copy(delivery, note, note_size);
}

void abi_delivery_max_attempts(abi_optional_u32 *attempts)
{
    attempts->value = in_progress()->max_attempts;
    attempts->some = attempts->value > 0;
}

void abi_delivery_previous_failure(abi_optional_text *reason)
{
    *reason = passed_optional(in_progress()->previous_failure);
}

void abi_secrets_get(const char *name, size_t name_size, abi_optional_text *value)
{
    const entry *found = find(&in_progress()->secrets, name);
    (void)name_size;
    *value = passed_optional(found ? found->data : NULL);
}

static bool is_delivered(const gm_delivery *delivery, const char *of, abi_body_error *error)
{
    if (strcmp(delivery->message->id, of) == 0)
        return true;
    error->tag = ABI_NOT_DELIVERED;
    return false;
}

void abi_body_size(const char *of, size_t of_size, abi_sized *sized)
{
    const gm_delivery *delivery = in_progress();
    (void)of_size;
    memset(sized, 0, sizeof *sized);
    sized->failed = !is_delivered(delivery, of, &sized->is.error);
    if (!sized->failed)
        sized->is.size = delivery->message->body.size;
}

void abi_body_read(const char *of, size_t of_size, uint64_t offset, uint32_t most, abi_piece *read)
{
    const gm_delivery *delivery = in_progress();
    const gm_bytes *body = &delivery->message->body;
    size_t size = most > MAX_BODY_READ ? (size_t)MAX_BODY_READ : most;
    (void)of_size;
    memset(read, 0, sizeof *read);
    read->failed = !is_delivered(delivery, of, &read->is.error);
    if (read->failed)
        return;
    if (offset > body->size)
        offset = body->size;
    if (size > body->size - offset)
        size = (size_t)(body->size - offset);
    read->is.bytes = passed_bytes(body->data + offset, size);
}
