/* The tests of the library and of the fake: a program that ends with 0 if all is well. */
#undef NDEBUG
#include "gristmill_testing.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What `handle` does, for each test another thing. */
static gm_result (*handler)(const gm_message *message);

gm_result handle(const gm_message *message)
{
    return handler(message);
}

static gm_result run(gm_delivery *delivery, gm_result (*with)(const gm_message *), const char *body)
{
    gm_message message = gm_test_text(body);
    handler = with;
    return gm_run(delivery, &message);
}

static bool is(const char *text, const char *expected)
{
    bool equal = text && strcmp(text, expected) == 0;
    if (!equal)
        printf("is       %s\nexpected %s\n", text ? text : "nothing", expected);
    return equal;
}

static void fails(const gm_error *error, gm_error_code code, const char *says)
{
    assert(error && error->code == code);
    if (!strstr(error->message, says)) {
        printf("%s should contain %s\n", error->message, says);
        assert(false);
    }
}

/* ---- Outcomes ---- */

static gm_result says_what_it_is_told(const gm_message *message)
{
    const char *body = message->body.data;
    if (!strcmp(body, "retry"))
        return gm_retry("attempt %d", (int)message->attempt);
    if (!strcmp(body, "after"))
        return gm_retry_after(1500, "busy");
    if (!strcmp(body, "reject"))
        return gm_reject("no %s", "\xff!");
    if (!strcmp(body, "postpone"))
        return gm_postpone(2500);
    if (!strcmp(body, "state"))
        GM_TRY(gm_state_add("", 1));
    return gm_ok();
}

static void each_outcome_arrives_with_what_belongs_to_it(void)
{
    gm_delivery *delivery = gm_delivery_new();
    gm_result result = run(delivery, says_what_it_is_told, "retry");
    assert(result.outcome == GM_RETRY && is(result.reason, "attempt 1"));
    result = run(delivery, says_what_it_is_told, "after");
    assert(result.outcome == GM_RETRY_AFTER && is(result.reason, "busy") && result.delay_ms == 1500);
    result = run(delivery, says_what_it_is_told, "reject");
    assert(result.outcome == GM_REJECT && is(result.reason, "no ?!"));
    result = run(delivery, says_what_it_is_told, "postpone");
    assert(result.outcome == GM_POSTPONE && result.delay_ms == 2500);
    result = run(delivery, says_what_it_is_told, "state");
    assert(result.outcome == GM_RETRY && strstr(result.reason, "1 to 512 bytes"));
    assert(run(delivery, says_what_it_is_told, "").outcome == GM_OK);
    gm_delivery_free(delivery);
}

/* ---- The message ---- */

static gm_result sees_every_field(const gm_message *message)
{
    assert(is(message->id, "id") && is(message->queue, "q") && is(message->body.data, "b") && message->body.size == 1);
    assert(is(message->content_type, "t/t") && is(message->group, "g") && is(message->correlation_id, "co"));
    assert(is(message->causation_id, "ca") && is(message->reply_to, "r") && is(message->message_type, "mt"));
    assert(is(message->schema_version, "1") && is(message->source, "s") && message->priority == 7);
    assert(is(message->traceparent, "tp") && is(message->tracestate, "") && message->enqueued_at_ms == 5);
    assert(message->expires_at_ms == 6 && message->attempt == 3 && message->attribute_count == 2);
    assert(is(gm_attribute_of(message, "größe"), "übergroß") && !gm_attribute_of(message, "none"));
    assert(message->attributes[1].value_size == 3 && memcmp(message->attributes[1].value, "a\0b", 3) == 0);
    return gm_ok();
}

static gm_result sees_nothing(const gm_message *message)
{
    assert(message->body.size == 0 && is(message->body.data, "") && !message->content_type && !message->group);
    assert(!message->traceparent && !message->tracestate && message->expires_at_ms == 0);
    assert(message->attribute_count == 0 && !gm_previous_failure() && !gm_secret("key"));
    return gm_ok();
}

static void a_handler_sees_what_is_there_and_what_is_not(void)
{
    gm_delivery *delivery = gm_delivery_new();
    gm_attribute attributes[] = {{"größe", "übergroß", 0}, {"zero", "a\0b", 3}};
    gm_message message = gm_test_text("b"), empty = gm_test_bytes("", 0);
    message.id = "id", message.queue = "q", message.content_type = "t/t", message.group = "g";
    message.correlation_id = "co", message.causation_id = "ca", message.reply_to = "r", message.message_type = "mt";
    message.schema_version = "1", message.source = "s", message.priority = 7, message.traceparent = "tp";
    message.enqueued_at_ms = 5, message.expires_at_ms = 6, message.attempt = 3;
    message.attributes = attributes, message.attribute_count = 2;
    handler = sees_every_field;
    assert(gm_run(delivery, &message).outcome == GM_OK);
    handler = sees_nothing;
    assert(gm_run(delivery, &empty).outcome == GM_OK);
    gm_delivery_free(delivery);
}

/* ---- Sending ---- */

static gm_result sends_all_there_is(const gm_message *message)
{
    const char *id = NULL;
    gm_attribute attributes[] = {{"kind", "a", 0}};
    gm_options all = {.attributes = attributes, .attribute_count = 1, .group = "g", .correlation_id = "c",
                      .reply_to = "r", .message_type = "m", .schema_version = "2", .dedup_id = "d", .delay_ms = 5,
                      .ttl_ms = 6, .has_priority = true, .priority = 0, .id = &id};
    GM_TRY(gm_send_text("q", "ü", &all));
    assert(id && strlen(id) == 36);
    GM_TRY(gm_send_json("q", "{}", NULL));
    GM_TRY(gm_send_bytes("q", "\0\xff", 2, NULL));
    GM_TRY(gm_reply_json(message, "[]", &(gm_options){.content_type = "application/x"}));
    fails(gm_send_text("elsewhere", "", NULL), GM_NOT_PERMITTED, "cannot send to \"elsewhere\"");
    fails(gm_send_text("small", "12345", NULL), GM_TOO_LARGE, "at most 4 bytes");
    fails(gm_send_text("q", "", &(gm_options){.has_priority = true, .priority = 10}), GM_INVALID, "0 to 9");
    fails(gm_send_text("q", "", &(gm_options){.group = "a\nb"}), GM_INVALID, "control");
    fails(gm_send_text("q", "", &(gm_options){.ttl_ms = 5, .delay_ms = 5}), GM_INVALID, "before it is due");
    return gm_ok();
}

static gm_result sends_too_much(const gm_message *message)
{
    (void)message;
    for (int i = 0; i < 100; i++)
        GM_TRY(gm_send_text("q", "x", NULL));
    fails(gm_send_text("q", "x", NULL), GM_TOO_MANY, "as many messages or bytes");
    return gm_retry("not this time");
}

static void what_is_sent_is_kept_with_all_that_was_said_of_it(void)
{
    gm_delivery *delivery = gm_delivery_new();
    gm_message message = gm_test_text("");
    const gm_sent *first, *reply;
    message.reply_to = "answers";
    gm_allow(delivery, "q");
    gm_allow_up_to(delivery, "small", 4);
    handler = sends_all_there_is;
    assert(gm_run(delivery, &message).outcome == GM_OK && gm_sent_count(delivery) == 4);
    first = gm_sent_at(delivery, 0);
    assert(is(first->to, "q") && is(first->body.data, "ü") && is(first->options.group, "g"));
    assert(is(first->options.content_type, "text/plain; charset=utf-8") && is(first->options.correlation_id, "c"));
    assert(is(first->options.attributes[0].value, "a") && is(first->options.dedup_id, "d"));
    assert(is(first->options.reply_to, "r") && is(first->options.message_type, "m"));
    assert(first->options.has_priority && first->options.priority == 0 && first->options.delay_ms == 5);
    assert(first->options.ttl_ms == 6 && !first->reply);
    assert(gm_sent_at(delivery, 2)->body.size == 2 && !gm_sent_at(delivery, 2)->options.content_type);
    reply = gm_sent_at(delivery, 3);
    assert(reply->reply && is(reply->to, "answers") && is(reply->options.correlation_id, message.id));
    assert(is(reply->options.content_type, "application/x") && !gm_sent_at(delivery, 4));
    assert(run(delivery, sends_too_much, "").outcome == GM_RETRY && gm_sent_count(delivery) == 4);
    gm_delivery_free(delivery);
}

/* ---- State ---- */

static gm_result keeps_state(const gm_message *message)
{
    gm_bytes value;
    gm_keys keys;
    int64_t count;
    uint32_t mark;
    (void)message;
    GM_TRY(gm_state_get("a", &value));
    assert(!value.data);
    GM_TRY(gm_state_set_text("a", "1"));
    GM_TRY(gm_state_set("a/b", NULL, 0));
    GM_TRY(gm_state_get("a/b", &value));
    assert(value.data && value.size == 0);
    GM_TRY(gm_state_add("n", INT64_MAX));
    GM_TRY(gm_state_add("n", 2));
    GM_TRY(gm_state_counter("n", &count));
    assert(count == INT64_MIN + 1);
    fails(gm_state_add("a", 1), GM_NOT_A_COUNTER, "\"a\" holds no counter");
    fails(gm_state_counter("a", &count), GM_NOT_A_COUNTER, "\"a\" holds no counter");
    GM_TRY(gm_state_keys("a", NULL, 10, &keys));
    assert(keys.count == 2 && is(keys.keys[0], "a") && is(keys.keys[1], "a/b"));
    GM_TRY(gm_state_keys("", "a", 1, &keys));
    assert(keys.count == 1 && is(keys.keys[0], "a/b"));
    GM_TRY(gm_state_keys("z", NULL, 10, &keys));
    assert(keys.count == 0);
    mark = gm_mark();
    GM_TRY(gm_state_remove("a"));
    GM_TRY(gm_send_text("q", "dropped", NULL));
    gm_rollback_to(mark);
    GM_TRY(gm_state_get("a", &value));
    assert(is(value.data, "1"));
    return gm_ok();
}

static gm_result spoils_state(const gm_message *message)
{
    static const char large[256 * 1024 + 1];
    (void)message;
    GM_TRY(gm_state_set_text("a", "2"));
    fails(gm_state_set("b", large, sizeof large), GM_TOO_LARGE, "at most 262144 bytes");
    for (int i = 0; i < 999; i++)
        GM_TRY(gm_state_add(gm_format("key/%d", i), 1));
    fails(gm_state_add("one more", 1), GM_QUOTA_EXCEEDED, "raise the limit");
    return gm_retry("not this time");
}

static void state_is_kept_by_those_who_succeed_and_by_no_one_else(void)
{
    gm_delivery *delivery = gm_delivery_new();
    assert(run(delivery, keeps_state, "").outcome == GM_OK);
    assert(run(delivery, spoils_state, "").outcome == GM_RETRY);
    assert(is(gm_state_of(delivery, "a").data, "1") && gm_state_count(delivery) == 3);
    assert(gm_counter(delivery, "n") == INT64_MIN + 1 && gm_sent_count(delivery) == 0);
    gm_delivery_free(delivery);
}

/* ---- The delivery ---- */

static gm_result asks_the_delivery(const gm_message *message)
{
    uint64_t left, size;
    gm_bytes piece;
    gm_message other = *message;
    GM_TRY(gm_extend(gm_remaining_ms() + 1000, &left));
    assert(left == 6000 && gm_remaining_ms() == 6000);
    fails(gm_extend(10001, NULL), GM_LIMIT_REACHED, "max_timeout");
    assert(gm_max_attempts() == 3 && is(gm_previous_failure(), "before") && is(gm_secret("key"), "s3cret"));
    assert(!gm_ending());
    gm_progress(40, "well on the way");
    assert(message->body.size == 0);
    GM_TRY(gm_body_size(message, &size));
    assert(size == 10);
    GM_TRY(gm_body_read(message, 8, 100, &piece));
    assert(piece.size == 2 && is(piece.data, "89"));
    GM_TRY(gm_body_read(message, 11, 1, &piece));
    assert(piece.size == 0);
    other.id = "another";
    fails(gm_body_size(&other, &size), GM_NOT_DELIVERED, "not of this delivery");
    return gm_ok();
}

static gm_result is_ending(const gm_message *message)
{
    (void)message;
    assert(gm_ending());
    fails(gm_extend(1, NULL), GM_ENDING, "being ended");
    return gm_ok();
}

static void the_delivery_answers_as_the_test_says(void)
{
    gm_delivery *delivery = gm_delivery_new();
    gm_message message = gm_test_text("0123456789");
    uint8_t percent;
    gm_set_remaining(delivery, 5000, 10000);
    gm_set_max_attempts(delivery, 3);
    gm_set_previous_failure(delivery, "before");
    gm_set_secret(delivery, "key", "s3cret");
    handler = asks_the_delivery;
    assert(gm_run_large(delivery, &message).outcome == GM_OK);
    assert(is(gm_progress_of(delivery, &percent), "well on the way") && percent == 40);
    gm_set_ending(delivery, true);
    assert(run(delivery, is_ending, "").outcome == GM_OK);
    gm_delivery_free(delivery);
}

/* ---- JSON ---- */

static const gm_json *parse(const char *text)
{
    return gm_json_parse(text, strlen(text));
}

static void json_is_read(void)
{
    const gm_json *json = parse(" {\"s\":\"a\\u00fc\\ud83d\\ude00\\n\\\"\",\"i\":-9223372036854775808,\"j\":9223372036854775807,"
                                "\"f\":-1.5e2,\"t\":true,\"n\":null,\"a\":[1,[],{}],\"o\":{\"x\":\"y\"},\"z\":\"a\\u0000b\"} ");
    assert(!gm_json_problem(json) && gm_json_count(json) == 9 && is(gm_json_name(gm_json_at(json, 1)), "i"));
    assert(is(gm_json_string(json, "s"), "aü😀\n\""));
    assert(gm_json_integer(json, "i") == INT64_MIN && gm_json_integer(json, "j") == INT64_MAX);
    assert(gm_json_number(json, "f") == -150 && gm_json_number(json, "j") > 9.2e18 && gm_json_bool(json, "t"));
    assert(!gm_json_has(json, "n") && !gm_json_has(json, "none") && gm_json_has(json, "t"));
    assert(gm_json_count(gm_json_array(json, "a")) == 3);
    assert(gm_json_as_integer(gm_json_first(gm_json_array(json, "a"))) == 1);
    assert(gm_json_type_of(gm_json_next(gm_json_at(gm_json_array(json, "a"), 1))) == GM_JSON_OBJECT);
    assert(!gm_json_next(gm_json_at(gm_json_array(json, "a"), 2)) && !gm_json_name(json));
    assert(is(gm_json_string(gm_json_object(json, "o"), "x"), "y"));
    assert(gm_json_as_string(gm_json_any(json, "z")).size == 3 && !gm_json_problem(json));
    gm_json_string(json, "z");
    assert(is(gm_json_problem(json), "field `z` holds a zero character"));
}

static void json_that_is_none_is_refused_with_the_place(void)
{
    static const char *const table[][2] = {
        {"", "EOF while parsing at line 1 column 1"},
        {"{\"a\":", "EOF while parsing at line 1 column 6"},
        {"[1,\n x]", "expected a value at line 2 column 2"},
        {"[1 2]", "expected `,` or `]`"},
        {"{\"a\" 1}", "expected `:`"},
        {"{1:2}", "expected a string"},
        {"{} x", "trailing characters at line 1 column 4"},
        {"\"\\x\"", "invalid escape"},
        {"\"\\ud800\"", "invalid escape"},
        {"\"\t\"", "control character"},
        {"\"\xff\"", "invalid UTF-8"},
        {"\"\xc0\x80\"", "invalid UTF-8"},
        {"\"\xed\xa0\x80\"", "invalid UTF-8"},
        {"01", "trailing characters"},
        {"-", "EOF"},
        {"1.", "EOF"},
        {"1.x", "invalid number"},
        {"nul", "expected a value"},
        {"\"abc", "EOF"},
    };
    char deep[400];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *problem = gm_json_problem(parse(table[i][0]));
        if (!problem || !strstr(problem, table[i][1])) {
            printf("%s: %s should contain %s\n", table[i][0], problem ? problem : "nothing", table[i][1]);
            assert(false);
        }
    }
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert(strstr(gm_json_problem(parse(deep)), "nested too deeply"));
}

static void json_of_other_types_is_a_problem_and_the_first_one_stays(void)
{
    const gm_json *json = parse("{\"a\":1.5,\"b\":\"x\",\"c\":99999999999999999999,\"d\":1,\"d\":2}");
    assert(is(gm_json_string(json, "a"), ""));
    assert(is(gm_json_problem(json), "invalid type: number, expected string for field `a`"));
    assert(gm_json_integer(json, "none") == 0 && is(gm_json_string(json, "b"), "x"));
    assert(strstr(gm_json_problem(json), "field `a`"));
    json = parse("{\"a\":1.5}");
    assert(gm_json_integer(json, "a") == 0 && strstr(gm_json_problem(json), "1.5, expected an integer"));
    json = parse("{\"c\":99999999999999999999}");
    assert(gm_json_integer(json, "c") == 0 && strstr(gm_json_problem(json), "expected an integer of 64 bits"));
    json = parse("{\"c\":7}");
    assert(gm_json_integer_within(json, "c", 0, 6) == 0 && strstr(gm_json_problem(json), "expected 0 to 6"));
    json = parse("{\"d\":1,\"d\":2}");
    gm_json_integer(json, "d");
    assert(is(gm_json_problem(json), "duplicate field `d`"));
    json = parse("[]");
    assert(gm_json_count(gm_json_array(json, "a")) == 0);
    assert(is(gm_json_problem(json), "invalid type: array, expected object"));
    json = parse("{}");
    gm_json_bool(json, "a");
    assert(is(gm_json_problem(json), "missing field `a`"));
    assert(strstr(gm_json_reject(json).reason, "not the JSON that this handler reads: missing field `a`"));
}

static void json_is_written(void)
{
    gm_buffer buffer = {0};
    assert(is(gm_quote("a\"\\\n\x01ü"), "\"a\\\"\\\\\\u000a\\u0001ü\""));
    assert(is(gm_quote("\xff"), "\"\xef\xbf\xbd\"") && is(gm_quote_bytes("a\0b", 3), "\"a\\u0000b\""));
    for (int i = 0; i < 1000; i++)
        gm_append(&buffer, "%d,", i % 10);
    assert(buffer.size == 2000 && strlen(buffer.data) == 2000 && strncmp(buffer.data + 1990, "5,6,7,8,9,", 10) == 0);
}

static gm_result tries_json(const gm_message *message)
{
    (void)message;
    json_is_read();
    json_that_is_none_is_refused_with_the_place();
    json_of_other_types_is_a_problem_and_the_first_one_stays();
    json_is_written();
    return gm_ok();
}

int main(void)
{
    gm_delivery *delivery = gm_delivery_new();
    each_outcome_arrives_with_what_belongs_to_it();
    a_handler_sees_what_is_there_and_what_is_not();
    what_is_sent_is_kept_with_all_that_was_said_of_it();
    state_is_kept_by_those_who_succeed_and_by_no_one_else();
    the_delivery_answers_as_the_test_says();
    assert(run(delivery, tries_json, "").outcome == GM_OK);
    gm_delivery_free(delivery);
    puts("9 tests passed");
    return 0;
}
