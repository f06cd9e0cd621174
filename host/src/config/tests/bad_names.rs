//! Names that lead nowhere and tables in the wrong place, and exactly what is said about them.

use super::told;

#[test]
fn queues_and_modules_have_names_that_can_be() {
    told(
        r##"[queue."a b"]
handler = "../a.wasm"
[queue.b]
handler = "b"
[queue.c]
handler = ".wasm"
[handler."../x"]
[handler.a]
env = { "A=B" = "1" }
"##,
        r##"error: "a b" is not a queue name: use 1 to 80 letters, digits, '-' and '_', optionally followed by '.fifo'
 --> etc/gristmill.toml:1:8
  |
1 | [queue."a b"]
  |        ^^^^^

error: `queue."a b".handler` is not the name of a module: "../a.wasm"
 --> etc/gristmill.toml:2:11
  |
2 | handler = "../a.wasm"
  |           ^^^^^^^^^^^
  |
  = help: name a file in the folder `host.handlers`, without its path

error: `queue.b.handler` is not the name of a module: "b"
 --> etc/gristmill.toml:4:11
  |
4 | handler = "b"
  |           ^^^
  |
  = help: write "b.wasm", or "b.js" if it is JavaScript: modules end in .wasm, .js or .mjs

error: `queue.c.handler` is not the name of a module: ".wasm"
 --> etc/gristmill.toml:6:11
  |
6 | handler = ".wasm"
  |           ^^^^^^^
  |
  = help: use 1 to 100 letters, digits, '-', '_' and '.', and not a '.' first

error: "../x" cannot be the name of a handler
 --> etc/gristmill.toml:7:10
  |
7 | [handler."../x"]
  |          ^^^^^^
  |
  = help: name a file in the folder `host.handlers`, without its path

warning: no queue names `handler.a`
 --> etc/gristmill.toml:8:10
  |
8 | [handler.a]
  |          ^
  |
  = help: write handler = "a.wasm" in the queue's table, or remove this one

error: "A=B" cannot be a name in `handler.a.env`
 --> etc/gristmill.toml:9:9
  |
9 | env = { "A=B" = "1" }
  |         ^^^^^
  |
  = help: use 1 to 256 bytes, without '='"##,
    );
}

#[test]
fn names_lead_somewhere() {
    told(
        r##"[queue.orders]
handler = "orders.wasm"
[handler.ordres]
[handler."orders.wasm"]
[handler.other]
send_to = ["orderz", "invoices", "orders", "orders", 3]
"##,
        r##"warning: no queue names `handler.ordres`
 --> etc/gristmill.toml:3:10
  |
3 | [handler.ordres]
  |          ^^^^^^
  |
  = help: did you mean `orders`?

warning: no queue names `handler."orders.wasm"`
 --> etc/gristmill.toml:4:10
  |
4 | [handler."orders.wasm"]
  |          ^^^^^^^^^^^^^
  |
  = help: write [handler.orders]: the name goes without .wasm

warning: no queue names `handler.other`
 --> etc/gristmill.toml:5:10
  |
5 | [handler.other]
  |          ^^^^^
  |
  = help: write handler = "other.wasm" in the queue's table, or remove this one

error: `handler.other.send_to`: no queue or topic is named "orderz"
 --> etc/gristmill.toml:6:12
  |
6 | send_to = ["orderz", "invoices", "orders", "orders", 3]
  |            ^^^^^^^^
  |
  = help: did you mean `orders`?

error: `handler.other.send_to`: no queue or topic is named "invoices"
 --> etc/gristmill.toml:6:22
  |
6 | send_to = ["orderz", "invoices", "orders", "orders", 3]
  |                      ^^^^^^^^^^
  |
  = help: declare it: [queue.invoices]

warning: `handler.other.send_to` names "orders" twice
 --> etc/gristmill.toml:6:44
  |
6 | send_to = ["orderz", "invoices", "orders", "orders", 3]
  |                                            ^^^^^^^^

error: `handler.other.send_to` must be a list of texts, not a whole number
 --> etc/gristmill.toml:6:54
  |
6 | send_to = ["orderz", "invoices", "orders", "orders", 3]
  |                                                      ^"##,
    );
}

#[test]
fn tables_stand_where_they_belong() {
    told(
        r##"queue = 3
[[handler]]
[defaults.queue]
handler = "a.wasm"
[defaults.handler]
sha256 = "0"
[defaults.hanlder]
"##,
        r##"error: `queue` must be a table, not a whole number
 --> etc/gristmill.toml:1:9
  |
1 | queue = 3
  |         ^
  |
  = help: write [queue.NAME]

error: `handler` must be a table, not a list
 --> etc/gristmill.toml:2:1
  |
2 | [[handler]]
  | ^^^^^^^^^^^
  |
  = help: write [handler.NAME]

error: `defaults.queue.handler` cannot be a default for all
 --> etc/gristmill.toml:4:11
  |
4 | handler = "a.wasm"
  |           ^^^^^^^^
  |
  = help: write it as `queue.NAME.handler`

error: `defaults.handler.sha256` cannot be a default for all
 --> etc/gristmill.toml:6:10
  |
6 | sha256 = "0"
  |          ^^^
  |
  = help: write it as `handler.NAME.sha256`

error: unknown key `defaults.hanlder`
 --> etc/gristmill.toml:7:11
  |
7 | [defaults.hanlder]
  |           ^^^^^^^
  |
  = help: did you mean `handler`?"##,
    );
}

#[test]
fn a_queue_is_a_table_of_its_own() {
    told(
        r##"[queue]
handler = "a.wasm"
"##,
        r##"error: `queue.handler` is not a table
 --> etc/gristmill.toml:2:1
  |
2 | handler = "a.wasm"
  | ^^^^^^^
  |
  = help: name the queue it is meant for, as in [queue.orders]"##,
    );
}

#[test]
fn what_is_not_toml_is_told_together_with_what_else_can_be_seen() {
    told(
        r##"[queue.orders
handler = 3
[queue.x]
ttl = 30
foo =
bar = "
"##,
        r##"error: not TOML: unclosed table, expected `]`
 --> etc/gristmill.toml:1:14
  |
1 | [queue.orders
  |              ^

error: `queue.x.ttl` must be a duration, not a whole number
 --> etc/gristmill.toml:4:7
  |
4 | ttl = 30
  |       ^^
  |
  = help: write the unit, such as "30s"

error: not TOML: string values must be quoted, expected literal string
 --> etc/gristmill.toml:5:6
  |
5 | foo =
  |      ^

error: not TOML: invalid basic string, expected `"`
 --> etc/gristmill.toml:6:8
  |
6 | bar = *
  |        ^"##,
    );
}

#[test]
fn what_is_written_twice_is_told() {
    told(
        r##"[queue.orders]
handler = "orders.wasm"
[queue.orders]
"##,
        r##"error: not TOML: written twice
 --> etc/gristmill.toml:3:8
  |
3 | [queue.orders]
  |        ^^^^^^
  |
  = help: a key or a table is written once: put the two together, or remove one"##,
    );
}

#[test]
fn places_are_counted_in_characters() {
    told(
        "\u{feff}[queue.a]\r\nhandler = \"ü\" # ü\r\n\"ü\" = 1\r\n",
        r##"error: `queue.a.handler` is not the name of a module: "ü"
 --> etc/gristmill.toml:2:11
  |
2 | handler = "ü" # ü
  |           ^^^
  |
  = help: write "ü.wasm", or "ü.js" if it is JavaScript: modules end in .wasm, .js or .mjs

error: unknown key `queue.a."ü"`
 --> etc/gristmill.toml:3:1
  |
3 | "ü" = *
  | ^^^
  |
  = help: known here: handler, build, watch, concurrency, pull, visibility_timeout, max_pulled, batch_size, batch_wait, batch_bytes, rate, burst, key, concurrency_per_key, rate_per_key, burst_per_key, max_attempts, backoff, max_age, delay, ttl, on_expiry, on_group_failure, max_messages, max_bytes, on_full, max_message_size, dead_retention, dead_letter, dedup, dedup_window"##,
    );
}

#[test]
fn a_handler_has_one_file_and_an_ending() {
    told(
        r##"[queue.a]
handler = "orders.js"
[queue.b]
handler = "orders.wasm"
[queue.c]
handler = "bills.ts"
[handler."orders.js"]
state = true
"##,
        r##"error: `queue.b.handler` is "orders.wasm", and another queue has "orders.js": a handler has one file, and both would be the handler "orders"
 --> etc/gristmill.toml:4:11
  |
4 | handler = "orders.wasm"
  |           ^^^^^^^^^^^^^
  |
  = help: name the same file, or give one of them another name

error: `queue.c.handler` is not the name of a module: "bills.ts"
 --> etc/gristmill.toml:6:11
  |
6 | handler = "bills.ts"
  |           ^^^^^^^^^^
  |
  = help: write "bills.js", and make that of it with a compiler for TypeScript such as esbuild

warning: no queue names `handler."orders.js"`
 --> etc/gristmill.toml:7:10
  |
7 | [handler."orders.js"]
  |          ^^^^^^^^^^^
  |
  = help: write [handler.orders]: the name goes without .js"##,
    );
}
