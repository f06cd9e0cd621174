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
        r##"EXPECTED1"##,
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
        r##"EXPECTED2"##,
    );
}
