//! Batches that cannot be as they are typed, and exactly what is said about them.

use super::told;

#[test]
fn batches_that_cannot_be_are_told_with_the_cure() {
    told(
        r##"[queue.orders]
handler = "orders.wasm"
batch_size = 1001
[queue.bills]
handler = "bills.wasm"
batch_wait = "1s"
[queue.mail]
batch_size = 10
[queue.small]
handler = "small.wasm"
batch_size = 10
batch_bytes = "3MiB"
batch_wait = "6m"
[handler.small]
memory = "4MiB"
"##,
        r##""##,
    );
}

#[test]
fn a_batch_that_is_never_full_is_worth_a_warning() {
    told(
        r##"[queue.orders]
handler = "orders.wasm"
concurrency = 8
batch_size = 16
"##,
        r##""##,
    );
}
