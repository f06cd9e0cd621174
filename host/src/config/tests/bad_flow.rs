//! Rates and limits that are wrong, and exactly what is said about them.

use super::told;

#[test]
fn a_limit_that_does_nothing_and_a_rate_that_is_none_are_told() {
    told(
        r##"[queue.orders]
rate = "5 per second"
burst = 3
concurrency_per_key = 2
burst_per_key = 0
[queue.bills]
rate = 5
key = "gristmill-type"
rate_per_key = "0/s"
burst = 3
[queue.mail]
burst = 3
"##,
        r##"error: `queue.orders.rate` is not a rate
 --> etc/gristmill.toml:2:8
  |
2 | rate = "5 per second"
  |        ^^^^^^^^^^^^^^
  |
  = help: write a number and a time, such as "5/s", "300/min" or "1000/h"

error: `queue.orders.concurrency_per_key` does nothing without `key`
 --> etc/gristmill.toml:4:23
  |
4 | concurrency_per_key = 2
  |                       ^
  |
  = help: write key = "tenant", or remove this

error: `queue.orders.burst_per_key` is out of bounds: 1 to 1000000
 --> etc/gristmill.toml:5:17
  |
5 | burst_per_key = 0
  |                 ^

error: `queue.bills.rate` must be a rate, not a whole number
 --> etc/gristmill.toml:7:8
  |
7 | rate = 5
  |        ^
  |
  = help: write a number and a time, such as "5/s", "300/min" or "1000/h"

error: `queue.bills.key`: no message can have an attribute "gristmill-type"
 --> etc/gristmill.toml:8:7
  |
8 | key = "gristmill-type"
  |       ^^^^^^^^^^^^^^^^
  |
  = help: name an attribute, or write "gristmill-group" to go by the group

error: `queue.bills.rate_per_key` is out of bounds: 1 to 1000000
 --> etc/gristmill.toml:9:16
  |
9 | rate_per_key = "0/s"
  |                ^^^^^

error: `queue.mail.burst` does nothing without `rate`
  --> etc/gristmill.toml:12:9
   |
12 | burst = 3
   |         ^
   |
   = help: write rate = "5/s", or remove this"##,
    );
}

#[test]
fn messages_must_not_die_in_a_circle_nor_in_a_queue_that_is_not_there() {
    told(
        r##"[queue.a]
dead_letter = "b"
[queue.b]
dead_letter = "c"
[queue.c]
dead_letter = "a"
[queue.d]
dead_letter = "nowhere-at-all"
[queue.e]
dead_letter = "e"
"##,
        r##"error: `queue.c.dead_letter`: messages would die in a circle: c → a → b → c
 --> etc/gristmill.toml:6:15
  |
6 | dead_letter = "a"
  |               ^^^
  |
  = help: let the last of them keep its dead letters itself: remove its `dead_letter`

error: `queue.d.dead_letter` names a queue that is not declared: "nowhere-at-all"
 --> etc/gristmill.toml:8:15
  |
8 | dead_letter = "nowhere-at-all"
  |               ^^^^^^^^^^^^^^^^
  |
  = help: declare it: an empty table is enough

error: `queue.e.dead_letter`: messages would die in a circle: e → e
  --> etc/gristmill.toml:10:15
   |
10 | dead_letter = "e"
   |               ^^^
   |
   = help: let the last of them keep its dead letters itself: remove its `dead_letter`"##,
    );
}
