//! Batches that cannot be as they are typed, and exactly what is said about them.

use super::{good, told};

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
        r##"error: `queue.orders.batch_size` is out of bounds: 1 to 1000
 --> etc/gristmill.toml:3:14
  |
3 | batch_size = 1001
  |              ^^^^

error: `queue.bills.batch_wait` does nothing without `batch_size`
 --> etc/gristmill.toml:6:14
  |
6 | batch_wait = "1s"
  |              ^^^^
  |
  = help: write batch_size = 16, or remove this

error: `queue.mail.batch_size` does nothing without `handler`
 --> etc/gristmill.toml:8:14
  |
8 | batch_size = 10
  |              ^^
  |
  = help: write handler = "orders.wasm", or remove this

error: `queue.small.batch_bytes`, 3MiB, is more than half of the memory of [handler.small], 4MiB: a batch would not fit
  --> etc/gristmill.toml:12:15
   |
12 | batch_bytes = "3MiB"
   |               ^^^^^^
   |
   = help: lower it, or raise `memory`

error: `queue.small.batch_wait` is out of bounds: 0s to 5m
  --> etc/gristmill.toml:13:14
   |
13 | batch_wait = "6m"
   |              ^^^^"##,
    );
}

#[test]
fn a_batch_that_is_never_full_is_worth_a_warning() {
    let config =
        good("[queue.orders]\nhandler = \"orders.wasm\"\nconcurrency = 8\nbatch_size = 16\n");
    let [warning] = config.warnings.as_slice() else {
        panic!("{:?}", config.warnings);
    };
    assert_eq!(
        warning.message,
        "`queue.orders.batch_size` cannot be reached: at most 8 messages of the queue are in flight"
    );
    assert_eq!(warning.key, "queue.orders.batch_size");
}

#[test]
fn a_queue_has_batches_only_if_it_says_how_large() {
    let config = good(
        "[queue.a]\nhandler = \"a.wasm\"\n[queue.b]\nhandler = \"a.wasm\"\nbatch_size = 7\nbatch_wait = \"2s\"\n",
    );
    assert_eq!(config.queues["a"].batch, None);
    let batch = config.queues["b"].batch.unwrap();
    assert_eq!(
        (batch.size, batch.wait.as_secs(), batch.bytes),
        (7, 2, 4 << 20)
    );
    assert_eq!(config.handlers["a"].batches[0].as_str(), "b");
}
