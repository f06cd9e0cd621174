/* A fixture for the suite that compares the languages; handlers/probe says what it has to do. */
#include "gristmill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

gm_result handle(const gm_message *message)
{
    const char *type = message->message_type ? message->message_type : "";
    gm_options echo = {
        .content_type = message->content_type,
        .attributes = message->attributes,
        .attribute_count = message->attribute_count,
        .group = message->group,
        .correlation_id = message->correlation_id,
    };
    if (strcmp(type, "fail") == 0)
        return gm_retry("the probe fails, as it was asked to");
    if (strcmp(type, "crash") == 0) {
        fputs("the probe crashes, as it was asked to\n", stderr);
        abort();
    }
    GM_TRY(gm_send_bytes("echoes", message->body.data, message->body.size, &echo));
    return gm_ok();
}
