/* The tests of the header: a program that ends with 0 if all is well. */
#undef NDEBUG
#include "gristmill.hpp"
#include "gristmill_testing.h"

#include <cassert>
#include <cmath>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;

namespace {

std::string bytes(gm_bytes of) { return {of.data, of.size}; }

gm::Result handle(const gm::Message &message) {
    const auto task = message.body();
    if (task == "retry") return gm::retry("again");
    if (task == "after") return gm::retry_after("busy", 1500ms);
    if (task == "reject") return gm::reject("100 %s");
    if (task == "postpone") return gm::postpone(2s);
    if (task == "error") GM_TRY(gm::send("elsewhere", "x"));

    assert(message.attribute("größe") == "ü" && !message.attribute("none") && !message.group());
    assert(message.enqueued_at() == std::chrono::sys_time<gm::milliseconds>(1700000000000ms) && !message.expires_at());
    std::string_view id;
    GM_TRY(gm::send("q", "text",
                    {.attributes = {{"a", "1"}, {"b", std::string_view("x\0y", 3)}}, .group = "g", .delay = 5ms,
                     .priority = 0, .id = &id}));
    assert(id.size() == 36);
    GM_TRY(gm::send_bytes("q", std::string_view("\0\1", 2)));
    GM_TRY(message.reply(gm::object({{"ok", true}, {"of", gm::array({1, 2.5, nullptr, "x", INFINITY})}})));
    if (const auto error = gm::send("small", "12345")) assert(error.code() == GM_TOO_LARGE && error.limit() == 4);

    assert(gm::state::get("a").value() == std::nullopt);
    GM_TRY(gm::state::set("a", "1"));
    assert(gm::state::get("a").value() == "1");
    GM_TRY(gm::state::add("n", -3));
    assert(gm::state::counter("n").value() == -3);
    assert(gm::state::keys("").value().size() == 2 && gm::state::keys("", "a").value().front() == "n");
    assert(gm::state::counter("a").error().code() == GM_NOT_A_COUNTER);
    {
        gm::Savepoint savepoint;
        GM_TRY(gm::state::remove("a"));
    }
    assert(gm::state::get("a").value() == "1");
    {
        gm::Savepoint savepoint;
        GM_TRY(gm::state::remove("a"));
        savepoint.keep();
    }
    assert(gm::state::get("a").value() == std::nullopt);

    assert(gm::remaining() == 30s && gm::extend(40s).value() == 40s && !gm::extend(1h) && !gm::ending());
    assert(gm::max_attempts() == 10u && !gm::previous_failure() && gm::secret("key") == "s3cret");
    assert(message.body_size().value() == task.size() && message.read_body(1, 2).value() == task.substr(1, 2));
    return gm::ok();
}

gm_result run(gm_delivery *delivery, const char *task) {
    static const gm_attribute attributes[] = {{"größe", "ü", 0}};
    auto message = gm_test_text(task);
    message.attributes = attributes;
    message.attribute_count = 1;
    message.reply_to = "answers";
    return gm_run(delivery, &message);
}

void json() {
    const auto value = gm::Value::parse(R"({"z":"a\u0000b","n":[1,2,3],"o":{"k":true}})");
    assert(value.string("z") == std::string_view("a\0b", 3));
    std::int64_t sum = 0;
    for (const auto element : value.array("n")) sum += element.as_integer();
    assert(sum == 6 && value.object("o").boolean("k") && !value.problem() && (*value.begin()).name() == "z");
    assert(value.integer("none") == 0 && value.problem() == "missing field `none`");
}

} // namespace

GM_HANDLER(handle)

int main() {
    auto *delivery = gm_delivery_new();
    gm_allow(delivery, "q");
    gm_allow_up_to(delivery, "small", 4);
    gm_set_secret(delivery, "key", "s3cret");
    assert(run(delivery, "retry").outcome == GM_RETRY);
    auto result = run(delivery, "after");
    assert(result.outcome == GM_RETRY_AFTER && result.delay_ms == 1500 && result.reason == std::string("busy"));
    result = run(delivery, "reject");
    assert(result.outcome == GM_REJECT && result.reason == std::string("100 %s"));
    result = run(delivery, "postpone");
    assert(result.outcome == GM_POSTPONE && result.delay_ms == 2000);
    result = run(delivery, "error");
    assert(result.outcome == GM_RETRY && std::string(result.reason).find("grant it") != std::string::npos);

    assert(run(delivery, "all").outcome == GM_OK && gm_sent_count(delivery) == 3);
    const auto &options = gm_sent_at(delivery, 0)->options;
    assert(options.group == std::string("g") && options.has_priority && options.delay_ms == 5);
    assert(options.attribute_count == 2 && options.attributes[1].value_size == 3);
    assert(bytes(gm_sent_at(delivery, 1)->body) == std::string("\0\1", 2));
    assert(bytes(gm_sent_at(delivery, 2)->body) == R"({"ok":true,"of":[1,2.5,null,"x",null]})");
    assert(gm_counter(delivery, "n") == -3 && !gm_state_of(delivery, "a").data);
    json();
    gm_delivery_free(delivery);
    std::puts("all tests passed");
}
