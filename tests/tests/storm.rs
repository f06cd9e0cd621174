//! Hostile handlers, many at once: each is stopped for its own reason, and a neighbour goes on.

use std::time::Instant;

use gristmill_tests::Host;

use crate::fixture;

/// What a message asks for, and the reasons of which it may die.
type Evil = (&'static str, &'static [&'static str]);

const EVILS: [Evil; 29] = [
    ("trap boo", &["trap"]),
    ("abort", &["trap"]),
    ("exit 3", &["exit"]),
    ("spin", &["deadline"]),
    ("sleep", &["deadline"]),
    ("naps", &["deadline"]),
    ("extend-forever", &["retry"]),
    // Filling it takes time on a machine that is busy.
    ("memory", &["memory-limit", "deadline"]),
    ("recurse", &["stack-overflow"]),
    // Its error has 8 MiB, which takes time to make on a machine that is busy.
    ("huge-error", &["retry", "deadline"]),
    ("lines", &["deadline"]),
    ("flood", &["deadline"]),
    ("flood-stderr", &["deadline"]),
    ("host-calls 100000000", &["deadline"]),
    ("send-to elsewhere", &["retry"]),
    ("send-too-much", &["retry"]),
    ("then-trap", &["trap"]),
    ("then-spin", &["deadline"]),
    ("bad-mark", &["trap"]),
    // How far they get in their time depends on how much the neighbour leaves them.
    ("storm get", &["retry", "deadline"]),
    ("storm set", &["retry", "deadline"]),
    ("storm same", &["deadline"]),
    ("storm list", &["retry", "deadline"]),
    ("storm mark", &["trap", "deadline"]),
    ("storm undo", &["trap", "deadline"]),
    ("storm reply", &["deadline"]),
    ("storm progress", &["deadline"]),
    ("storm remaining", &["deadline"]),
    ("storm secret", &["deadline"]),
];

const QUIET: &str = "[queue.quiet]\nhandler = \"sink.wasm\"\n";
const MIB: u64 = 1024 * 1024;

/// Four times as many as there are cores.
fn many() -> usize {
    4 * std::thread::available_parallelism().map_or(2, usize::from)
}

/// Sends to the quiet queue while the other one is at work, and waits until both are done.
fn beside(host: &Host, bodies: &[String]) -> Vec<String> {
    let before = host.queue("quiet").unwrap().acked;
    let ids = host.send_all("work", bodies).unwrap();
    let mut quiet = 0;
    host.wait_until("the evil ones are done", |host| {
        host.send("quiet", "x")?;
        quiet += 1;
        Ok(host.queue("work")?.is_settled())
    })
    .unwrap();
    host.wait_settled(&["quiet"]).unwrap();
    assert_eq!(host.queue("quiet").unwrap().acked - before, quiet);
    ids
}

fn all_end_as_they_should(reuse: &str) {
    let many = many();
    let limits =
        format!("timeout = \"300ms\"\nmax_timeout = \"600ms\"\nmemory = \"16MiB\"\n{reuse}");
    let work = format!("max_attempts = 1\nconcurrency = {many}");
    let config = format!("{}{QUIET}", fixture::config(&work, &limits));
    let host = fixture::host(&config, &["misbehave", "sink"]);
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    let (before, open) = (
        host.memory_kib("VmHWM").unwrap(),
        host.descriptors().unwrap(),
    );
    let mut wrong = Vec::new();
    for (body, reasons) in EVILS {
        let began = Instant::now();
        let ids = beside(&host, &vec![body.to_owned(); many]);
        for id in &ids {
            match host.dead_letter("work", id) {
                Ok(letter) if reasons.contains(&letter["reason"].as_str().unwrap()) => {
                    let kept = letter["output_tail"].as_str().unwrap().len();
                    if kept > 8 * 1024 {
                        wrong.push(format!("{body}: kept {kept} bytes of output"));
                    }
                    if letter["error"].as_str().unwrap().len() > 4096 {
                        wrong.push(format!("{body}: a long error"));
                    }
                }
                Ok(letter) => wrong.push(format!(
                    "{body}: {} because {:.200}",
                    letter["reason"],
                    letter["error"].to_string()
                )),
                Err(problem) => wrong.push(format!("{body}: {problem}")),
            }
        }
        eprintln!("{many} × {body}: {:?}", began.elapsed());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (work, out) = (host.queue("work").unwrap(), host.queue("out").unwrap());
    assert_eq!(work.dead, (EVILS.len() * many) as u64);
    assert_eq!((work.acked, out.sent), (1, 0), "no effect is seen");
    let grown = host.memory_kib("VmHWM").unwrap() - before;
    // Those that run, what is given back in batches of up to sixteen, and what they pass to the
    // host in one call.
    let most = (many as u64 + 16) * 16 * 1024 + many as u64 * 32 * 1024;
    eprintln!("grown by {grown} KiB of at most {most}");
    assert!(grown < most, "the host grew by {grown} KiB");
    let now = host.descriptors().unwrap();
    assert!(now <= open + 16, "{open} descriptors became {now}");
    // Those that threw their instance away left nothing to the next.
    host.send("work", "list ").unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert_eq!(host.queue("work").unwrap().acked, 2);
    assert!(!host.log().contains("panicked at host"), "{}", host.log());
}

#[test]
fn every_evil_at_four_times_the_cores_ends_for_its_reason_and_a_neighbour_goes_on() {
    all_end_as_they_should("");
}

#[test]
fn the_same_with_instances_that_serve_again() {
    all_end_as_they_should("max_calls = 16");
}

#[test]
fn an_instance_that_hangs_when_it_serves_again_is_given_up_and_its_message_is_not_lost() {
    let limits = "timeout = \"100ms\"\nmax_calls = 16";
    let work = "max_attempts = 20\nconcurrency = 4";
    let config = format!("{}{QUIET}", fixture::config(work, limits));
    let host = fixture::host(&config, &["misbehave", "sink"]);
    beside(&host, &vec!["hang-again".to_owned(); 40]);
    let work = host.queue("work").unwrap();
    assert_eq!((work.acked, work.dead), (40, 0));
}

#[test]
fn floods_of_output_are_cut_marked_and_do_not_fill_the_log() {
    let many = many();
    let limits = "timeout = \"60s\"\ncpu_time = \"60s\"";
    let work = format!("max_attempts = 1\nconcurrency = {many}");
    let config = format!("{}{QUIET}", fixture::config(&work, limits));
    let host = fixture::host(&config, &["misbehave", "sink"]);
    let began = Instant::now();
    // Each may log 64 KiB, which would be 20 MiB of all of them.
    let ids = beside(&host, &vec!["rant 1".to_owned(); 320]);
    let took = began.elapsed();
    for id in &ids {
        let letter = host.dead_letter("work", id).unwrap();
        assert_eq!(letter["reason"], "retry");
        let kept = letter["output_tail"].as_str().unwrap().len() as u64;
        let dropped = letter["output_dropped"].as_u64().unwrap();
        assert!(
            kept <= 4096 && dropped > MIB - 70 * 1024,
            "{kept} {dropped}"
        );
    }
    let log = host.log();
    let most = 9 * MIB + (took.as_secs() + 1) * MIB;
    let (handled, rest): (Vec<&str>, Vec<&str>) = log
        .lines()
        .partition(|line| line.contains("all work and no play"));
    // What stands before each line is the log's own.
    let printed: u64 = handled
        .iter()
        .map(|line| line.split_once("all work").unwrap().1.len() as u64)
        .sum();
    eprintln!("320 floods in {took:?}: {printed} bytes in the log");
    assert!(printed < most, "{printed} bytes in {took:?}");
    if took.as_secs() < 10 {
        let said = |line: &&&str| line.contains("prints more than the log takes, 1024 KiB/s");
        assert!(rest.iter().any(|line| said(&line)), "{rest:#?}");
    }
    let shown = host.done(&["dead", "show", "work", &ids[0]]).unwrap();
    assert!(shown.contains("all work and no play"), "{shown}");
}
