//! Plain JavaScript files in the folder of handlers: dropped in, edited, wrong, and there again after a
//! restart.

use std::fs;
use std::path::PathBuf;

use gristmill_tests::Host;
use serde_json::Value;

const CONFIG: &str = r#"[defaults.queue]
backoff = { base = "10ms", factor = 1 }
[queue.orders]
handler = "orders.js"
[queue.invoices]
[handler.orders]
send_to = ["invoices"]
state = true
"#;

/// A program that uses the state, sends, and says why it refuses.
const ORDERS: &str = r#"import { send, state, reject } from "gristmill";

export function handle(message) {
  const order = message.json();
  if (!(order.cents > 0)) throw reject(`order ${order.id} costs nothing`);
  state.add("cents", order.cents);
  send("invoices", { order: order.id, total: Number(state.counter("cents")) }, { group: "all" });
}
"#;

fn write(host: &Host, program: &str) {
    fs::write(host.folder().join("handlers/orders.js"), program).unwrap();
}

fn handler(host: &Host) -> anyhow::Result<Value> {
    let handlers = host.socket().get("/v1/handlers")?.json();
    Ok(handlers["items"][0].clone())
}

fn serving(program: &str) -> Host {
    let mut host = Host::new(CONFIG, &[]).unwrap();
    write(&host, program);
    host.start().unwrap();
    wait_serving(&host);
    host
}

pub fn wait_serving(host: &Host) {
    host.wait_until(
        "it serves",
        |host| Ok(handler(host)?["status"] == "serving"),
    )
    .unwrap();
}

fn wait_problem(host: &Host, words: &str) -> String {
    host.wait_until("it is refused", |host| {
        let handler = handler(host)?;
        Ok(handler["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains(words)))
    })
    .unwrap();
    handler(host).unwrap()["problem"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn hash(host: &Host) -> anyhow::Result<String> {
    Ok(handler(host)?["version"]["hash"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// The bodies that wait in a queue.
pub fn bodies(host: &Host, queue: &str) -> Vec<String> {
    let waiting = host.json(&["peek", queue]).unwrap();
    let items = waiting["items"].as_array().unwrap().clone();
    let text = |item: &Value| item["body"].as_str().unwrap_or_default().to_owned();
    items.iter().map(text).collect()
}

#[test]
fn a_file_that_is_dropped_in_is_a_handler_and_an_edit_takes_over() {
    let host = serving(ORDERS);
    host.send("orders", r#"{"id":"a1","cents":250}"#).unwrap();
    host.wait_settled(&["orders"]).unwrap();
    host.send("orders", r#"{"id":"a2","cents":50}"#).unwrap();
    host.send("orders", r#"{"id":"a3","cents":0}"#).unwrap();
    host.send("orders", "no JSON").unwrap();
    host.wait_settled(&["orders"]).unwrap();
    assert_eq!(
        bodies(&host, "invoices"),
        [
            r#"{"order":"a1","total":250}"#,
            r#"{"order":"a2","total":300}"#
        ]
    );
    let mut errors: Vec<String> = host
        .dead("orders")
        .unwrap()
        .iter()
        .map(|letter| {
            format!(
                "{}: {}",
                letter["reason"].as_str().unwrap(),
                letter["error"].as_str().unwrap()
            )
        })
        .collect();
    errors.sort();
    assert_eq!(errors[0], "rejected: order a3 costs nothing");
    assert!(
        errors[1].starts_with("rejected: the body is not JSON: "),
        "{errors:?}"
    );
    // What it may do is what it uses.
    let shown = handler(&host).unwrap();
    let imports: Vec<&str> = shown["version"]["imports"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|import| import.as_str()?.strip_prefix("gristmill:queue/"))
        .collect();
    assert_eq!(imports, ["types@0.1.0", "producer@0.1.0", "state@0.1.0"]);
    assert_eq!(shown["version"]["guarantee"], "atomic");

    let before = hash(&host).unwrap();
    write(
        &host,
        &ORDERS.replace("order: order.id", "edited: order.id"),
    );
    host.wait_until("the edit serves", |host| Ok(hash(host)? != before))
        .unwrap();
    host.send("orders", r#"{"id":"a4","cents":1}"#).unwrap();
    host.wait_settled(&["orders"]).unwrap();
    assert_eq!(
        bodies(&host, "invoices")[2],
        r#"{"edited":"a4","total":301}"#
    );
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place_and_the_old_version_serves_on() {
    let host = serving(ORDERS);
    let before = hash(&host).unwrap();
    let missing = ORDERS.replace(
        "state.add(\"cents\", order.cents);",
        "state.add(\"cents\" order.cents);",
    );
    write(&host, &missing);
    let problem = wait_problem(&host, "orders.js:6:");
    assert!(problem.starts_with("orders.js:6:"), "{problem}");
    write(
        &host,
        "const limits = undefined;\nexport const most = limits.most;\nexport function handle() {}\n",
    );
    let problem = wait_problem(&host, "cannot read property");
    assert!(problem.starts_with("orders.js:2:"), "{problem}");
    write(&host, "export function handel(message) {}\n");
    let problem = wait_problem(&host, "handel");
    assert!(
        problem.contains("exports no function `handle`"),
        "{problem}"
    );
    write(
        &host,
        "import { total } from \"./tax.js\";\nexport function handle() {}\n",
    );
    let problem = wait_problem(&host, "tax.js");
    assert!(
        problem.contains(
            "orders.js imports \"./tax.js\", but a plain file can import nothing but \"gristmill\""
        ),
        "{problem}"
    );
    write(
        &host,
        "import { secrets } from \"gristmill\";\nexport function handle() { secrets.get(\"a\"); }\n",
    );
    let problem = wait_problem(&host, "secrets");
    assert!(
        problem.contains("it is not granted: add `secrets = [\"…\"]` to [handler.orders]"),
        "{problem}"
    );

    assert_eq!(hash(&host).unwrap(), before);
    host.send("orders", r#"{"id":"a1","cents":250}"#).unwrap();
    host.wait_settled(&["orders"]).unwrap();
    assert_eq!(bodies(&host, "invoices"), [r#"{"order":"a1","total":250}"#]);
    let shown = host.done(&["handlers"]).unwrap();
    assert!(shown.contains("secrets"), "{shown}");
}

#[test]
fn what_is_thrown_is_in_the_dead_letter_with_its_stack() {
    let program = "export function handle(message) {\n  const order = message.json();\n  charge(order);\n}\n\n\
                   function charge(order) {\n  throw new TypeError(`no card for ${order.id}`);\n}\n";
    let host = serving(program);
    host.send("orders", r#"{"id":"a1"}"#).unwrap();
    host.wait_until("it is dead", |host| Ok(host.queue("orders")?.dead == 1))
        .unwrap();
    let letters = host.dead("orders").unwrap();
    let letter = host
        .dead_letter("orders", letters[0]["id"].as_str().unwrap())
        .unwrap();
    let error = letter["error"].as_str().unwrap();
    assert!(error.starts_with("TypeError: no card for a1"), "{error}");
    for place in ["charge (orders.js:7:", "handle (orders.js:3:"] {
        assert!(error.contains(place), "{error}");
    }
    assert!(
        !error.contains("gristmill/"),
        "only the file of the user: {error}"
    );
}

#[test]
fn a_program_is_compiled_once() {
    let mut host = serving(ORDERS);
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
    host.start().unwrap();
    wait_serving(&host);
    assert_eq!(
        handler(&host).unwrap()["version"]["compile_ms"],
        Value::Null
    );
    assert!(
        host.log().contains("serves (compiled before)"),
        "{}",
        host.log()
    );
}

#[test]
fn the_engine_is_compiled_for_the_first_file_and_not_for_the_next() {
    let mut host = Host::new(CONFIG, &[]).unwrap();
    // A cache of its own, so that there is something to compile.
    fs::remove_file(host.data().join("compiled")).unwrap();
    write(&host, ORDERS);
    host.start().unwrap();
    wait_serving(&host);
    let first = cpu_of_children(&host);
    // The second file leaves behind what hashes otherwise than in the first.
    let second = edited(&host, "second");
    let kept = head_start(&host);
    let third = edited(&host, "third");
    assert!(
        second * 2 < first && third * 2 < first,
        "ticks of CPU: {first}, then {second} and {third}"
    );
    let same = fs::read(&kept).unwrap();
    edited(&host, "fourth");
    assert!(same == fs::read(&kept).unwrap(), "it ends to grow");

    let mut damaged = same;
    damaged[1_000_000] ^= 1;
    fs::write(&kept, damaged).unwrap();
    edited(&host, "fifth");
    assert!(
        host.log()
            .contains("the head start of JavaScript is damaged"),
        "{}",
        host.log()
    );
    let sixth = edited(&host, "sixth");
    assert!(sixth * 2 < first, "made anew: {sixth} of {first}");
}

/// What the cache keeps for the next file.
fn head_start(host: &Host) -> PathBuf {
    let files = fs::read_dir(host.data().join("compiled"))
        .unwrap()
        .flatten();
    let mut heads = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "head"));
    let head = heads.next().expect("one");
    assert_eq!(heads.next(), None);
    head
}

/// Changes the file, and returns the CPU time of compiling it.
fn edited(host: &Host, word: &str) -> u64 {
    let (before, ticks) = (hash(host).unwrap(), cpu_of_children(host));
    write(
        host,
        &ORDERS.replace("costs nothing", &format!("costs nothing ({word})")),
    );
    host.wait_until("the edit serves", |host| Ok(hash(host)? != before))
        .unwrap();
    cpu_of_children(host) - ticks
}

/// The CPU time of the processes that the host has waited for, in ticks of the kernel.
fn cpu_of_children(host: &Host) -> u64 {
    let pid = host.pid().unwrap().as_raw_nonzero();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    // User and system time are the 16th and 17th number; the name is the second.
    let fields = after_name.split(' ').skip(13).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn check_says_where_a_program_is_wrong() {
    let host = Host::new(CONFIG, &[]).unwrap();
    write(
        &host,
        "export function handle(message) {\n  return message.;\n}\n",
    );
    let output = host.run(&["check"]).unwrap();
    assert_ne!(output.code, Some(0));
    assert!(
        output
            .stdout
            .contains("orders.js:2:18: expecting field name"),
        "{}",
        output.stdout
    );
    write(&host, ORDERS);
    let shown = host.done(&["check"]).unwrap();
    assert!(shown.contains("orders"), "{shown}");
}
