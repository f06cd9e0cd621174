//! Steps of the wall clock, while a host runs and between two of them.
//!
//! A host's time is that of its store: it goes on by the machine's uptime, begins at the wall clock,
//! and never before what the store has seen. So a wait is as long as it should be, whatever anybody
//! does to the wall clock meanwhile.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::collections::HashSet;
use std::time::Duration;

use gristmill_queue::message::Due;
use gristmill_queue::policy::OnExpiry;
use gristmill_queue::{MessageId, NewMessage};
use gristmill_store::Drift;
use stage::{Host, done, failed, names};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// The dedup window of a queue unless it says otherwise.
const WINDOW: Duration = Duration::from_secs(300);

type Step = (&'static str, fn(&Host));

const STEPS: [Step; 4] = [
    ("an hour forward", |host| host.turn_forward(HOUR)),
    ("an hour back", |host| host.turn_back(HOUR)),
    ("a year forward", |host| host.turn_forward(YEAR)),
    ("a year back", |host| host.turn_back(YEAR)),
];

type Restart = (&'static str, fn(Host) -> Host);

const RESTARTS: [Restart; 3] = [
    ("closed", Host::reopen),
    ("killed", Host::crash),
    ("without power", Host::lose_power),
];

fn after(delay: Duration) -> impl FnOnce(&mut NewMessage) {
    move |message| message.due = Due::After(delay)
}

/// Sends a message with the one dedup id, and says whether it was a repeat.
fn repeated(host: &Host) -> bool {
    let with_id = |message: &mut NewMessage| message.dedup_id = Some("k".into());
    host.send_with("deduped", "one", with_id).unwrap().duplicate
}

/// What is sent to `deduped` and `expiring` waits there.
fn queues() -> Host {
    let host = Host::with_policy(&["orders", "deduped", "expiring"], |queue, policy| {
        policy.retry.max_attempts = 10;
        if queue == "expiring" {
            policy.default_ttl = Some(2 * HOUR);
            policy.on_expiry = OnExpiry::Drop;
        }
    });
    host.pause("deduped");
    host.pause("expiring");
    host
}

#[test]
fn a_step_of_the_wall_clock_changes_nothing_while_the_host_runs() {
    for (step, turn) in STEPS {
        let host = queues();
        let running = host.send("orders", "running").unwrap().id;
        let leased = host.delivered("orders");
        assert_eq!(names(&leased), [running]);
        let later = host.send_with("orders", "later", after(HOUR)).unwrap().id;
        assert!(!repeated(&host));
        host.send("expiring", "kept two hours").unwrap();

        let before = host.now();
        turn(&host);
        assert_eq!(host.now(), before, "{step}");
        assert!(host.delivered("orders").is_empty(), "{step}");
        assert_eq!(host.depths("orders").in_flight, 1, "{step}");
        assert!(repeated(&host), "{step}");
        host.settle(done(&leased[0]));
        assert_eq!(host.totals("orders").acked, 1, "{step}: the lease held");

        host.pass(WINDOW - SECOND);
        assert!(repeated(&host), "{step}");
        host.pass(SECOND);
        assert!(!repeated(&host), "{step}");
        host.pass(HOUR - WINDOW - SECOND);
        assert!(host.delivered("orders").is_empty(), "{step}");
        host.pass(SECOND);
        assert_eq!(names(&host.delivered("orders")), [later], "{step}");
        host.pass(HOUR - SECOND);
        assert_eq!(host.depths("expiring").ready, 1, "{step}");
        host.pass(SECOND);
        assert_eq!(host.depths("expiring").ready, 0, "{step}");
    }
}

#[test]
fn a_clock_that_was_set_back_before_a_start_shortens_and_lengthens_nothing() {
    for (how, restart) in RESTARTS {
        for back in [HOUR, YEAR] {
            let host = queues();
            let running = host.send("orders", "running").unwrap().id;
            assert_eq!(host.delivered("orders").len(), 1);
            let later = host.send_with("orders", "later", after(HOUR)).unwrap().id;
            assert!(!repeated(&host));
            host.turn_back(back);
            host.restart_machine();
            let host = restart(host);
            assert_eq!(host.drift(), Drift::Ahead(back), "{how}");

            let again = host.delivered("orders");
            assert_eq!(names(&again), [running], "{how}: at once");
            assert!(again[0].attempt <= 2, "{how}");
            host.settle(done(&again[0]));
            host.pass(WINDOW - SECOND);
            assert!(repeated(&host), "{how}: a window is never shortened");
            host.pass(SECOND);
            assert!(!repeated(&host), "{how}");
            host.pass(HOUR - WINDOW - SECOND);
            assert!(host.delivered("orders").is_empty(), "{how}: not early");
            host.pass(SECOND);
            assert_eq!(names(&host.delivered("orders")), [later], "{how}: not late");
        }
    }
}

#[test]
fn a_clock_that_was_set_forward_before_a_start_makes_due_what_is_due_by_the_date() {
    for (how, restart) in RESTARTS {
        let host = queues();
        let running = host.send("orders", "running").unwrap().id;
        host.delivered("orders");
        let soon = host.send_with("orders", "soon", after(HOUR)).unwrap().id;
        let late = after(2 * YEAR);
        let late = host.send_with("orders", "in two years", late).unwrap().id;
        host.turn_forward(YEAR);
        let host = restart(host);
        assert_eq!(host.drift(), Drift::Ahead(Duration::ZERO), "{how}");
        let mut delivered = host.delivered("orders");
        if delivered.len() == 1 {
            // It was there when the host died, and runs alone.
            host.settle(done(&delivered[0]));
            delivered.extend(host.delivered("orders"));
        }
        let delivered: HashSet<MessageId> = names(&delivered).into_iter().collect();
        assert_eq!(delivered, HashSet::from([running, soon]), "{how}");
        assert_eq!(host.depths("orders").scheduled, 1, "{how}: {late}");
    }
}

#[test]
fn after_a_year_too_many_and_its_correction_nobody_waits_for_a_year() {
    for (how, restart) in RESTARTS {
        let host = queues();
        host.turn_forward(YEAR);
        let host = restart(host);
        let in_wrong_year = after(HOUR);
        let sent_wrong = host.send_with("orders", "sent wrong", in_wrong_year);
        let sent_wrong = sent_wrong.unwrap().id;
        assert!(!repeated(&host));
        let backing_off = host.send("orders", "fails").unwrap().id;
        let leased = host.delivered("orders");
        host.settle(failed(&leased[0], "once"));

        host.turn_back(YEAR);
        let host = restart(host);
        assert_eq!(host.drift(), Drift::Ahead(YEAR), "{how}");
        host.pass(MINUTE);
        let retried = host.delivered("orders");
        assert_eq!(names(&retried), [backing_off], "{how}");
        host.settle(done(&retried[0]));
        assert!(repeated(&host), "{how}");
        host.pass(WINDOW);
        assert!(!repeated(&host), "{how}");
        // A delay is a delay, and a date that is past by the time of the queues is past.
        let sent_right = host.send_with("orders", "sent right", after(HOUR));
        let sent_right = sent_right.unwrap().id;
        let date = host.wall().after(24 * HOUR);
        let by_date = |message: &mut NewMessage| message.due = Due::At(date);
        let by_date = host.send_with("orders", "by date", by_date).unwrap().id;
        assert_eq!(names(&host.delivered("orders")), [by_date], "{how}: early");
        host.pass(HOUR - MINUTE - WINDOW);
        assert_eq!(names(&host.delivered("orders")), [sent_wrong], "{how}");
        host.pass(MINUTE + WINDOW);
        assert_eq!(names(&host.delivered("orders")), [sent_right], "{how}");
    }
}

#[test]
fn of_a_wait_without_any_commit_little_is_repeated_after_a_start_in_the_past() {
    for (how, restart) in RESTARTS {
        let host = queues();
        let later = host.send_with("orders", "later", after(HOUR)).unwrap().id;
        for _ in 0..59 {
            host.pass(MINUTE);
        }
        host.turn_back(YEAR);
        let host = restart(host);
        host.pass(2 * MINUTE);
        assert_eq!(names(&host.delivered("orders")), [later], "{how}");
    }
}

/// What is known of a message that waits.
struct Waiting {
    id: MessageId,
    /// By the machine's uninterrupted time.
    due: Duration,
}

/// Draws numbers; which, follows from the seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }
}

#[test]
fn waits_are_kept_whatever_is_done_to_the_wall_clock() {
    for seed in 1..=6u64 {
        let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut host = queues();
        let mut waiting: Vec<Waiting> = Vec::new();
        let (mut passed, mut repeated, mut shown) = (Duration::ZERO, Duration::ZERO, host.now());
        for step in 0..60 {
            let place = format!("seed {seed}, step {step}");
            match draws.below(5) {
                0 | 1 => {
                    let delay = MINUTE * u32::try_from(draws.below(600)).unwrap();
                    let id = host.send_with("orders", "x", after(delay)).unwrap().id;
                    let due = passed + delay;
                    waiting.push(Waiting { id, due });
                }
                2 => {
                    let time = MINUTE * u32::try_from(draws.below(90)).unwrap();
                    host.pass(time);
                    passed += time;
                }
                3 => {
                    // Forward no further than the clock was turned back: what is later by the
                    // date at a start is due.
                    let back = HOUR * u32::try_from(1 + draws.below(8760)).unwrap();
                    host.turn_back(back);
                    if draws.below(2) == 0 {
                        host.turn_forward(back / 2);
                    }
                }
                _ => {
                    let (how, restart) = RESTARTS[usize::try_from(draws.below(3)).unwrap()];
                    host = restart(host);
                    repeated += MINUTE + SECOND;
                    assert!(host.now() >= shown || how != "closed", "{place}");
                }
            }
            shown = host.now();
            for leased in host.delivered("orders") {
                let at = waiting.iter().position(|one| one.id == leased.message.id);
                let one = waiting.swap_remove(at.unwrap());
                assert!(one.due <= passed, "{place}: {} is early", one.id);
                host.settle(done(&leased));
            }
            for one in &waiting {
                let latest = one.due + repeated;
                assert!(latest >= passed, "{place}: {} is late", one.id);
            }
        }
    }
}
