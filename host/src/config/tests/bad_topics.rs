//! Topics that make no sense, and exactly what is said about them.

use super::told;

#[test]
fn a_topic_goes_to_declared_queues_once_each_and_is_none_itself() {
    told(
        r##"[queue.a]
[queue.b]
[topic.a]
queues = ["b"]
[topic.t]
queues = ["b", "bb"]
unmatched = "drop"
[topic.t.filter]
b = { type = "x" }
[topic.nobody]
"##,
        r##"error: a is the name of a queue too
 --> etc/gristmill.toml:3:8
  |
3 | [topic.a]
  |        ^
  |
  = help: give one of them another name: what is sent to a name must go to one place

error: `topic.t.queues`: no queue is named "bb"
 --> etc/gristmill.toml:6:16
  |
6 | queues = ["b", "bb"]
  |                ^^^^
  |
  = help: did you mean `b`?

error: `topic.t.unmatched` must be "count" or "refuse"
 --> etc/gristmill.toml:7:13
  |
7 | unmatched = "drop"
  |             ^^^^^^

error: `topic.t.filter.b`: queue b is subscribed twice
 --> etc/gristmill.toml:9:1
  |
9 | b = { type = "x" }
  | ^
  |
  = help: name it once: in `queues` for all messages, or with a filter; a list of filters, [[…]], means any of them

warning: `topic.nobody` has no queue: what is sent to it goes nowhere
  --> etc/gristmill.toml:10:8
   |
10 | [topic.nobody]
   |        ^^^^^^
   |
   = help: write queues = ["…"]"##,
    );
}

#[test]
fn a_filter_asks_one_thing_at_a_time_that_can_be_so() {
    told(
        r##"[queue.a]
[queue.b]
[topic.u.filter]
a = { priority = { min = 5, max = 1 } }
b = [{ attributes = { x = [] } }, {}]
[topic.v.filter]
a = { kind = "x" }
b = { reply_to = "a b", attributes = { y = { prefix = "p", exists = true }, z = true } }
"##,
        r##"error: `topic.u.filter.a.priority` is an empty range
 --> etc/gristmill.toml:4:18
  |
4 | a = { priority = { min = 5, max = 1 } }
  |                  ^^^^^^^^^^^^^^^^^^^^
  |
  = help: exchange its ends

error: `topic.u.filter.b` has no condition
 --> etc/gristmill.toml:5:1
  |
5 | b = [{ attributes = { x = [] } }, {}]
  | ^
  |
  = help: name the queue in `queues` if it is to get all messages

error: `topic.u.filter.b.attributes.x` is an empty list, so nothing would match
 --> etc/gristmill.toml:5:27
  |
5 | b = [{ attributes = { x = [] } }, {}]
  |                           ^^
  |
  = help: write a text, a number, a list of them, or { prefix = "…" }, { min = 1, below = 10 }, { exists = true }

error: `topic.v.filter.a` has no condition
 --> etc/gristmill.toml:7:1
  |
7 | a = { kind = *** }
  | ^
  |
  = help: name the queue in `queues` if it is to get all messages

error: unknown key `topic.v.filter.a.kind`
 --> etc/gristmill.toml:7:7
  |
7 | a = { kind = *** }
  |       ^^^^
  |
  = help: known here: type, schema_version, source, content_type, correlation_id, reply_to, group, priority, attributes

error: `topic.v.filter.b.reply_to` can never be so: "a b" is not a queue name: use 1 to 80 letters, digits, '-' and '_', optionally followed by '.fifo'
 --> etc/gristmill.toml:8:18
  |
8 | b = { reply_to = "a b", attributes = { y = { prefix = "p", exists = true }, z = true } }
  |                  ^^^^^

error: `topic.v.filter.b.attributes.y` must ask one thing: a prefix, a range, or whether it exists
 --> etc/gristmill.toml:8:44
  |
8 | b = { reply_to = "a b", attributes = { y = { prefix = "p", exists = true }, z = true } }
  |                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write a text, a number, a list of them, or { prefix = "…" }, { min = 1, below = 10 }, { exists = true }

error: `topic.v.filter.b.attributes.z` must be a condition, not true or false
 --> etc/gristmill.toml:8:81
  |
8 | b = { reply_to = "a b", attributes = { y = { prefix = "p", exists = true }, z = true } }
  |                                                                                 ^^^^
  |
  = help: write a text, a number, a list of them, or { prefix = "…" }, { min = 1, below = 10 }, { exists = true }"##,
    );
}
