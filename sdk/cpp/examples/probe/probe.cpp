/* A fixture for the suite that compares the languages; handlers/probe says what it has to do. */
#include "gristmill.hpp"

static gm::Result handle(const gm::Message &message) {
    const auto type = message.message_type().value_or("");
    if (type == "fail") return gm::retry("the probe fails, as it was asked to");
    if (type == "crash") return gm::retry(message.body().substr(message.body().size() + 1));
    GM_TRY(gm::send_bytes("echoes", message.body(),
                          {.content_type = message.content_type().value_or(""),
                           .attributes = message.attributes(),
                           .group = message.group().value_or(""),
                           .correlation_id = message.correlation_id().value_or("")}));
    return gm::ok();
}

GM_HANDLER(handle)
