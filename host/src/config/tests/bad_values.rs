//! Values and names that are wrong, and exactly what is said about them.

use super::told;

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_meant() {
    told(
        r##"[hots]
[queue.orders]
handler = "orders.wasm"
timout = "30s"
max-attempts = 3
colour = "red"
backoff = { jiter = "full" }
[queue.bills.fifo]
"##,
        r##"error: unknown key `hots`
 --> etc/gristmill.toml:1:2
  |
1 | [hots]
  |  ^^^^
  |
  = help: did you mean `host`?

error: unknown key `queue.orders.timout`
 --> etc/gristmill.toml:4:1
  |
4 | timout = "30s"
  | ^^^^^^
  |
  = help: did you mean `handler.NAME.timeout`?

error: unknown key `queue.orders.max-attempts`
 --> etc/gristmill.toml:5:1
  |
5 | max-attempts = 3
  | ^^^^^^^^^^^^
  |
  = help: did you mean `max_attempts`?

error: unknown key `queue.orders.colour`
 --> etc/gristmill.toml:6:1
  |
6 | colour = *****
  | ^^^^^^
  |
  = help: known here: handler, build, watch, concurrency, pull, visibility_timeout, max_pulled, batch_size, batch_wait, batch_bytes, rate, burst, key, concurrency_per_key, rate_per_key, burst_per_key, max_attempts, backoff, max_age, delay, ttl, on_expiry, on_group_failure, max_messages, max_bytes, on_full, max_message_size, dead_retention, dead_letter, dedup, dedup_window

error: unknown key `queue.orders.backoff.jiter`
 --> etc/gristmill.toml:7:13
  |
7 | backoff = { jiter = "full" }
  |             ^^^^^
  |
  = help: did you mean `jitter`?

error: unknown key `queue.bills.fifo`
 --> etc/gristmill.toml:8:14
  |
8 | [queue.bills.fifo]
  |              ^^^^
  |
  = help: a name with a dot needs quotes: [queue."bills.fifo"]"##,
    );
}

#[test]
fn a_wrong_type_is_told_with_the_way_to_write_it() {
    told(
        r##"[host.sandbox]
pagemap_scan = "yes"
[queue.orders]
ttl = 30
concurrency = "7"
max_bytes = true
backoff = { factor = "2" }
[handler.orders]
send_to = "orders"
config = { rate = 1.5 }
"##,
        r##"error: `host.sandbox.pagemap_scan` must be true or false, not a text
 --> etc/gristmill.toml:2:16
  |
2 | pagemap_scan = "yes"
  |                ^^^^^
  |
  = help: write true or false, without quotes

error: `queue.orders.ttl` must be a duration, not a whole number
 --> etc/gristmill.toml:4:7
  |
4 | ttl = 30
  |       ^^
  |
  = help: write the unit, such as "30s"

error: `queue.orders.concurrency` must be a whole number, not a text
 --> etc/gristmill.toml:5:15
  |
5 | concurrency = "7"
  |               ^^^
  |
  = help: write it without quotes

error: `queue.orders.max_bytes` must be a size, not true or false
 --> etc/gristmill.toml:6:13
  |
6 | max_bytes = true
  |             ^^^^
  |
  = help: write a number and a unit in quotes, such as "64MiB", or a number of bytes

error: `queue.orders.backoff.factor` must be a number, not a text
 --> etc/gristmill.toml:7:22
  |
7 | backoff = { factor = "2" }
  |                      ^^^

warning: no queue names `handler.orders`
 --> etc/gristmill.toml:8:10
  |
8 | [handler.orders]
  |          ^^^^^^
  |
  = help: write handler = "orders.wasm" in the queue's table, or remove this one

error: `handler.orders.send_to` must be a list, not a text
 --> etc/gristmill.toml:9:11
  |
9 | send_to = "orders"
  |           ^^^^^^^^
  |
  = help: write ["orders"]

error: `handler.orders.config.rate` must be a text, not a number
  --> etc/gristmill.toml:10:19
   |
10 | config = { rate = 1.5 }
   |                   ^^^
   |
   = help: write it in quotes"##,
    );
}

#[test]
fn a_text_that_cannot_be_read_is_told_with_an_example() {
    told(
        r##"[host]
log = "inof"
watch = "pol"
[host.sandbox]
max_module_size = "64 lots"
[handler.orders]
cpu_time = "1 month"
max_calls = "many"
sha256 = "abc"
require = "exactly-once"
"##,
        r##"error: `host.log` is not a level
 --> etc/gristmill.toml:2:7
  |
2 | log = "inof"
  |       ^^^^^^
  |
  = help: did you mean `info`?

error: `host.watch` must be "auto" or "poll"
 --> etc/gristmill.toml:3:9
  |
3 | watch = "pol"
  |         ^^^^^
  |
  = help: did you mean `poll`?

error: `host.sandbox.max_module_size` is not a size
 --> etc/gristmill.toml:5:19
  |
5 | max_module_size = "64 lots"
  |                   ^^^^^^^^^
  |
  = help: write a number and a unit in quotes, such as "64MiB", or a number of bytes

warning: no queue names `handler.orders`
 --> etc/gristmill.toml:6:10
  |
6 | [handler.orders]
  |          ^^^^^^
  |
  = help: write handler = "orders.wasm" in the queue's table, or remove this one

error: `handler.orders.cpu_time` is not a duration
 --> etc/gristmill.toml:7:12
  |
7 | cpu_time = "1 month"
  |            ^^^^^^^^^
  |
  = help: write a number and a unit in quotes, such as "30s", "1h 30m" or "14d"

error: `handler.orders.max_calls` must be "auto" or a whole number
 --> etc/gristmill.toml:8:13
  |
8 | max_calls = "many"
  |             ^^^^^^

error: `handler.orders.sha256` is not a SHA-256
 --> etc/gristmill.toml:9:10
  |
9 | sha256 = "abc"
  |          ^^^^^
  |
  = help: write the 64 hexadecimal digits that `sha256sum` shows

error: `handler.orders.require` must be "at-least-once" or "atomic"
  --> etc/gristmill.toml:10:11
   |
10 | require = "exactly-once"
   |           ^^^^^^^^^^^^^^"##,
    );
}

#[test]
fn a_value_out_of_bounds_is_told_with_the_bounds() {
    told(
        r##"[host]
threads = 0
[queue.orders]
max_attempts = -1
backoff = { base = "2d", factor = nan }
max_message_size = "2GiB"
max_messages = 99999999999999999999999999
dedup_window = "1s"
"##,
        r##"error: `host.threads` is out of bounds: 1 to 1024
 --> etc/gristmill.toml:2:11
  |
2 | threads = 0
  |           ^

error: `queue.orders.max_attempts` is out of bounds: 1 to 1000000
 --> etc/gristmill.toml:4:16
  |
4 | max_attempts = -1
  |                ^^

error: `queue.orders.backoff.base` is out of bounds: 0s to 1d
 --> etc/gristmill.toml:5:20
  |
5 | backoff = { base = "2d", factor = nan }
  |                    ^^^^

error: `queue.orders.backoff.factor` is out of bounds: 1 to 100
 --> etc/gristmill.toml:5:35
  |
5 | backoff = { base = "2d", factor = nan }
  |                                   ^^^

error: `queue.orders.max_message_size` is out of bounds: 1B to 1GiB
 --> etc/gristmill.toml:6:20
  |
6 | max_message_size = "2GiB"
  |                    ^^^^^^

error: `queue.orders.max_messages` is out of bounds: 1 to 1000000000000
 --> etc/gristmill.toml:7:16
  |
7 | max_messages = 99999999999999999999999999
  |                ^^^^^^^^^^^^^^^^^^^^^^^^^^

error: `queue.orders.dedup_window` is out of bounds: 20s to 7d
 --> etc/gristmill.toml:8:16
  |
8 | dedup_window = "1s"
  |                ^^^^"##,
    );
}

#[test]
fn values_are_held_against_each_other() {
    told(
        r##"[host]
max_in_flight = 10
data_dir = "a"
handlers = "./a/b"
[queue.orders]
handler = "orders.wasm"
concurrency = 11
backoff = { base = "1h" }
max_bytes = "100KiB"
max_message_size = "256KiB"
[handler.orders]
max_timeout = "1s"
"##,
        r##"error: `host.data_dir` and `host.handlers` lie within one another
 --> etc/gristmill.toml:3:12
  |
3 | data_dir = "a"
  |            ^^^
  |
  = help: use two folders side by side

warning: `queue.orders.concurrency` cannot be reached: the whole host runs 10 at once
 --> etc/gristmill.toml:7:15
  |
7 | concurrency = 11
  |               ^^
  |
  = help: raise `host.max_in_flight`, or lower this

error: `queue.orders.backoff`: the cap, 15m, is less than the base, 1h
 --> etc/gristmill.toml:8:20
  |
8 | backoff = { base = "1h" }
  |                    ^^^^
  |
  = help: raise `cap`, or lower `base`

error: `queue.orders.max_bytes` is less than `max_message_size`, 256KiB: the largest message would never fit
 --> etc/gristmill.toml:9:13
  |
9 | max_bytes = "100KiB"
  |             ^^^^^^^^
  |
  = help: raise it, or lower `max_message_size`

error: `handler.orders.max_timeout`, 1s, is less than the timeout, 30s
  --> etc/gristmill.toml:12:15
   |
12 | max_timeout = "1s"
   |               ^^^^
   |
   = help: raise it, or lower `timeout`"##,
    );
}

#[test]
fn what_is_out_of_bounds_is_not_held_against_anything() {
    told(
        r##"[defaults.queue]
max_message_size = "2GiB"
[queue.orders]
backoff = { base = "1h", cap = "1 hr 1 day ago" }
max_bytes = "100KiB"
"##,
        r##"error: `defaults.queue.max_message_size` is out of bounds: 1B to 1GiB
 --> etc/gristmill.toml:2:20
  |
2 | max_message_size = "2GiB"
  |                    ^^^^^^

error: `queue.orders.backoff.cap` is not a duration
 --> etc/gristmill.toml:4:32
  |
4 | backoff = { base = "1h", cap = "1 hr 1 day ago" }
  |                                ^^^^^^^^^^^^^^^^
  |
  = help: write a number and a unit in quotes, such as "30s", "1h 30m" or "14d""##,
    );
}
