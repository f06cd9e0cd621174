//! The same handlers in every language, and the same messages for each: what is sent, stored and said has to
//! be the same, through one host that runs them all.
//!
//! `orders` is the example of ordinary work, `probe` says a message back or fails as it is asked to. The rows
//! are in `tests/src/languages.rs`, the messages in `cases.rs`.

mod cases;

use std::collections::BTreeMap;
use std::fs;

use gristmill_tests::languages::{LANGUAGES, Language};
use gristmill_tests::{Host, guests};
use serde_json::{Value, json};

use cases::{Case, Effect, End};

/// Attempts that a message gets.
const ATTEMPTS: u64 = 3;

/// A language whose modules are there.
struct Ready {
    language: &'static Language,
    /// Files in the folder of handlers, for `orders` and `probe`.
    files: [String; 2],
}

impl Ready {
    /// The queue with this handler, which has the same name.
    fn queue(&self, handler: &str) -> String {
        format!("{handler}-{}", self.language.name)
    }
}

/// Builds what can be built here, and puts it into the folder of a host that does not run yet.
fn install() -> (Host, Vec<Ready>) {
    let host = Host::new("", &[]).unwrap();
    let mut ready = Vec::new();
    for language in LANGUAGES {
        let builds = [("orders", language.orders), ("probe", language.probe)];
        let modules = builds.map(|(handler, build)| Some((handler, build().unwrap()?)));
        let [Some(orders), Some(probe)] = modules else {
            println!("SKIP: {}", language.title);
            continue;
        };
        let files = [orders, probe].map(|(handler, module)| {
            let ending = module.extension().unwrap().to_str().unwrap();
            let file = format!("{handler}-{}.{ending}", language.name);
            fs::copy(&module, host.folder().join("handlers").join(&file)).unwrap();
            file
        });
        ready.push(Ready { language, files });
    }
    (host, ready)
}

fn config(languages: &[Ready]) -> String {
    let mut config = format!(
        "[defaults.queue]\nmax_attempts = {ATTEMPTS}\n\
         backoff = {{ base = \"10ms\", factor = 1, jitter = \"none\" }}\n\
         [queue.invoices]\n[queue.notifications]\n[queue.echoes]\n[queue.counters]\n"
    );
    for ready in languages {
        for (handler, file) in ["orders", "probe"].iter().zip(&ready.files) {
            let name = ready.queue(handler);
            config.push_str(&format!(
                "[queue.{name}]\nhandler = \"{file}\"\n[handler.{name}]\nstate = true\n\
                 send_to = [\"invoices\", \"notifications\", \"echoes\", \"counters\"]\n"
            ));
        }
    }
    config
}

/// Interpreters take long to compile, and other tests run beside this one: more than a test waits otherwise.
fn wait_until_all_serve(host: &Host) {
    let serve = |host: &Host| {
        let handlers = host.socket().get("/v1/handlers")?.json();
        let handlers = handlers["items"].as_array().cloned().unwrap_or_default();
        let serving = |handler: &Value| handler["status"] == "serving";
        Ok(!handlers.is_empty() && handlers.iter().all(serving))
    };
    let wait = || host.wait_until("all handlers serve", serve);
    let waited = (0..4).find_map(|_| wait().ok());
    if waited.is_none() {
        wait().unwrap();
    }
}

/// Sends the messages of the cases to a queue, and returns their ids.
fn send(host: &Host, queue: &str, cases: &[Case]) -> Vec<String> {
    let messages: Vec<&Value> = cases.iter().map(|case| &case.message).collect();
    let batch = json!({ "messages": messages }).to_string();
    let path = format!("/v1/queues/{queue}/messages/batch");
    let kind = [("Content-Type", "application/json")];
    let answer = host.socket().post(&path, &kind, batch.as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    let items = answer.json()["items"].as_array().unwrap().clone();
    let ids = items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// What lies in a queue, by the message that caused it.
fn effects(host: &Host, queue: &str) -> BTreeMap<String, Vec<Value>> {
    let answer = host
        .socket()
        .get(&format!("/v1/queues/{queue}/messages?limit=100"));
    let answer = answer.unwrap().json();
    let items = answer["items"].as_array().unwrap();
    assert!(items.len() < 100, "all of them are looked at");
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for item in items {
        let cause = item["envelope"]["causation_id"]
            .as_str()
            .unwrap_or_default();
        found
            .entry(cause.to_owned())
            .or_default()
            .push(item.clone());
    }
    found
}

/// Whether an effect is the one expected; says what differs.
fn check_effect(host: &Host, found: &Value, expected: &Effect, source: &str) -> Result<(), String> {
    let envelope = &found["envelope"];
    for (field, expected) in &expected.envelope {
        if envelope[field] != *expected {
            return Err(format!("{field} is {}, not {expected}", envelope[field]));
        }
    }
    if envelope["source"] != *source {
        return Err(format!("it comes from {}", envelope["source"]));
    }
    if found["body_omitted"] == true {
        let path = format!("/v1/messages/{}/body", found["id"].as_str().unwrap());
        let text = host.socket().get(&path).unwrap().text;
        let same = expected.body == Value::String(text);
        return same
            .then_some(())
            .ok_or("the large body differs".to_owned());
    }
    // JSON is compared as such: languages write it with other spaces, and fields in another order.
    let text = found["body"].as_str().unwrap_or_default();
    let body = match &expected.body {
        Value::Object(_) => serde_json::from_str(text).unwrap_or_default(),
        _ if found.get("body_base64").is_some() => found["body_base64"].clone(),
        _ => Value::String(text.to_owned()),
    };
    let same = body == expected.body;
    same.then_some(())
        .ok_or_else(|| format!("the body is {body}, not {}", expected.body))
}

/// What went otherwise than it should with the messages of one queue.
struct Findings {
    queue: String,
    found: Vec<String>,
}

impl Findings {
    fn add(&mut self, case: &Case, what: &str) {
        self.found
            .push(format!("{}: {}: {what}", self.queue, case.name));
    }

    fn check(&mut self, host: &Host, case: &Case, id: &str, dead: Option<&Value>) {
        match (&case.end, dead) {
            (End::Done, None) => {}
            (End::Done, Some(letter)) => self.add(case, &format!("it died: {letter}")),
            (End::Dead { .. }, None) => self.add(case, "it was acknowledged"),
            (End::Dead { reason, says }, Some(letter)) => {
                let attempts = if *reason == "rejected" { 1 } else { ATTEMPTS };
                if *reason != "any" && letter["reason"] != *reason {
                    self.add(case, &format!("it died otherwise: {letter}"));
                }
                if letter["attempts"] != attempts {
                    self.add(case, &format!("{} attempts", letter["attempts"]));
                }
                // The letter in full has what was printed and where it trapped.
                let full = host.dead_letter(&self.queue, id).unwrap();
                let full = texts(&full);
                for text in says.iter().filter(|text| !full.contains(*text)) {
                    self.add(
                        case,
                        &format!("the dead letter does not tell {text:?}:\n{full}"),
                    );
                }
            }
        }
    }
}

/// All texts in a value, as they read.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(fields) => fields.values().map(texts).collect(),
        _ => String::new(),
    }
}

#[test]
fn every_language_does_the_same_with_the_same_messages() {
    let (mut host, languages) = install();
    host.configure(&config(&languages)).unwrap();
    host.start().unwrap();
    wait_until_all_serve(&host);
    let sent: Vec<(String, Vec<Case>, Vec<String>)> = languages
        .iter()
        .flat_map(|ready| {
            let (orders, probe) = (ready.queue("orders"), ready.queue("probe"));
            [
                (orders, cases::orders(ready.language.traced)),
                (probe, cases::probe(ready.language.crash)),
            ]
        })
        .map(|(queue, cases)| {
            let ids = send(&host, &queue, &cases);
            (queue, cases, ids)
        })
        .collect();
    let queues: Vec<&str> = sent.iter().map(|(queue, ..)| queue.as_str()).collect();
    host.wait_settled(&queues).unwrap();

    let lying: BTreeMap<&str, _> = ["invoices", "notifications", "echoes"]
        .map(|queue| (queue, effects(&host, queue)))
        .into();
    let mut problems = Vec::new();
    for (queue, cases, ids) in &sent {
        let mut findings = Findings {
            queue: queue.clone(),
            found: Vec::new(),
        };
        let dead = host.dead(queue).unwrap();
        for (case, id) in cases.iter().zip(ids) {
            findings.check(
                &host,
                case,
                id,
                dead.iter().find(|letter| letter["id"] == **id),
            );
            for (to, lying) in &lying {
                let found = lying.get(id).map_or(&[][..], Vec::as_slice);
                let expected: Vec<_> = case
                    .effects
                    .iter()
                    .filter(|effect| effect.to == *to)
                    .collect();
                if found.len() != expected.len() {
                    findings.add(case, &format!("{} messages in {to}", found.len()));
                }
                for (found, expected) in found.iter().zip(expected) {
                    if let Err(differs) = check_effect(&host, found, expected, queue) {
                        findings.add(case, &format!("in {to}: {differs}"));
                    }
                }
            }
        }
        problems.extend(findings.found);
    }
    let log = host.log();
    for ready in &languages {
        let printed = "Order o-1: 25.05 EUR";
        let queue = ready.queue("orders");
        let said = log
            .lines()
            .any(|line| line.contains(printed) && line.contains(&queue));
        if !said {
            problems.push(format!("{queue}: the log does not have what it printed"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    counters(&mut host, &languages);
}

/// Puts another module in the place of each: state is private to a handler's name, and this one tells it.
fn counters(host: &mut Host, languages: &[Ready]) {
    host.stop().unwrap();
    let tell = guests().unwrap().path("misbehave");
    let mut config = config(languages).replace(
        "state = true\n",
        "state = true\nreply = true\nsecrets = { none = { file = \"gristmill.toml\" } }\n",
    );
    for ready in languages {
        let [file, _] = &ready.files;
        let name = ready.queue("orders");
        let module = host.folder().join("handlers").join(format!("{name}.wasm"));
        config = config.replace(
            &format!("handler = \"{file}\""),
            &format!("handler = \"{name}.wasm\""),
        );
        fs::copy(&tell, module).unwrap();
    }
    host.configure(
        &config
            .replace("\"echoes\"", "\"out\"")
            .replace("[queue.echoes]", "[queue.echoes]\n[queue.out]"),
    )
    .unwrap();
    host.start().unwrap();
    let mut asked = Vec::new();
    for ready in languages {
        for (key, expected) in cases::counters() {
            let queue = ready.queue("orders");
            let id = host.send(&queue, &format!("tell {key}")).unwrap();
            asked.push((queue, key, expected, id));
        }
    }
    let queues: Vec<&str> = asked.iter().map(|(queue, ..)| queue.as_str()).collect();
    host.wait_settled(&queues).unwrap();
    let told = effects(host, "out");
    for (queue, key, expected, id) in &asked {
        let counted = told.get(id).map(|told| told[0]["body"].clone());
        assert_eq!(
            counted,
            Some(Value::String(expected.to_string())),
            "{queue}: {key}"
        );
    }
}
