//! How long the program takes from its start to its first delivery.

use std::process::Command;

use gristmill_queue::{NewMessage, QueuePolicy};
use gristmill_store::{Declaration, Options, Store};

use crate::compare::report;
use crate::modules::copy;
use crate::program::Program;
use crate::rig::{fill, module, queue};

/// The argument of [`fill_and_die`].
pub const FILL: &str = "--fill";
/// How often it is started; the median counts.
const STARTS: usize = 5;
/// Fewer are handled before it is killed, so it is started once.
const FEW: u64 = 10_000;

/// On a store in which so many messages of 256 bytes wait.
pub fn on_messages(count: u64) {
    let mut program = Program::new();
    program.configure(
        "[host]\nlog = \"warn\"\n[queue.backlog]\nhandler = \"sink.wasm\"\n[queue.other]\nhandler = \"sink.wasm\"\n",
    );
    program.install("sink", &module("sink"));
    // Its code is in the cache then.
    let began = program.start();
    program.wait(began, "/v1/handlers", |answer| serving(answer) == 1);
    program.kill();
    program.keep_compiled();
    let filled = Command::new(std::env::current_exe().unwrap())
        .arg(FILL)
        .arg(program.data())
        .arg(count.to_string())
        .status();
    assert!(filled.unwrap().success(), "the store is not filled");
    let file = std::fs::metadata(program.data().join("store.redb")).unwrap();
    let (mut ready, mut first, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    let starts = if count < FEW { 1 } else { STARTS };
    for _ in 0..starts {
        let began = program.start();
        ready.push(program.wait(began, "/readyz", |_| true));
        first.push(program.wait(began, "/v1/queues/backlog", |answer| {
            !answer.contains("\"acked\":0,")
        }));
        resident.push(program.memory().resident as f64 / f64::from(1 << 20));
        program.kill();
    }
    report("until it is ready, ms", median(ready));
    report("until the first message is handled, ms", median(first));
    report("resident then, MiB", median(resident));
    report("file, MB", file.len() as f64 / 1e6);
}

/// With so many modules, each with a queue of its own.
pub fn with_modules(count: u64) {
    let mut program = Program::new();
    let mut config = "[host]\nlog = \"warn\"\n[queue.out]\n".to_owned();
    for number in 0..count {
        let name = format!("bench-{number}");
        config.push_str(&format!(
            "[queue.in-{number}]\nhandler = \"{name}.wasm\"\n[handler.{name}]\nsend_to = [\"out\"]\n"
        ));
        program.install(&name, &copy(number));
    }
    program.configure(&config);
    let all = |answer: &str| serving(answer) == count;
    let began = program.start();
    program.wait(began, "/v1/handlers", all);
    program.kill();
    program.keep_compiled();
    let (mut ready, mut loaded, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let began = program.start();
        ready.push(program.wait(began, "/readyz", |_| true));
        loaded.push(program.wait(began, "/v1/handlers", all));
        resident.push(program.memory().resident as f64 / f64::from(1 << 20));
        program.kill();
    }
    report("until it is ready, ms", median(ready));
    report("until all modules serve, ms", median(loaded));
    report("resident then, MiB", median(resident));
}

/// How many handlers serve, by the list of them.
fn serving(answer: &str) -> u64 {
    answer.matches("\"status\":\"serving\"").count() as u64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Lets so many messages wait in the queue `backlog` of a store, and ends without closing it.
pub fn fill_and_die(folder: &str, count: u64) {
    let options = Options {
        queues: vec![Declaration {
            name: queue("backlog"),
            policy: QueuePolicy::default(),
        }],
        ..Options::default()
    };
    let (store, _) = Store::open(folder.as_ref(), options).unwrap();
    let serving = tokio::runtime::Runtime::new().unwrap();
    let message = |_| NewMessage::with_body([b'x'; 256].as_slice());
    serving.block_on(fill(&store, &queue("backlog"), count, message));
    std::process::exit(0);
}
