use std::sync::atomic::{AtomicU64, Ordering};

use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Clock, Declaration, Options, PurgeStates, Store};

use super::*;
use crate::cron::{Missed, Schedule};

const MINUTE: u64 = 60_000;
/// Midnight in UTC.
const START: u64 = 1_763_596_800_000;

/// A host whose clock stands still unless it is moved.
struct Stage {
    folder: tempfile::TempDir,
    clock: Arc<AtomicU64>,
    store: Store,
    crontab: Crontab,
}

fn name() -> QueueName {
    QueueName::new("reports").unwrap()
}

fn every_minute(missed: Missed) -> CronConfig {
    CronConfig {
        schedule: Schedule::new("* * * * *", "UTC").unwrap(),
        queue: name(),
        message: NewMessage::with_body("{}"),
        missed,
        enabled: true,
        origin: 1,
    }
}

fn table(config: CronConfig) -> CronConfigs {
    [("minutely".to_owned(), config)].into()
}

fn open(folder: &std::path::Path, clock: &Arc<AtomicU64>) -> Store {
    let options = Options {
        clock: Clock::Manual(Arc::clone(clock)),
        queues: vec![Declaration {
            name: name(),
            policy: QueuePolicy {
                max_messages: Some(3),
                ..QueuePolicy::default()
            },
        }],
        ..Options::default()
    };
    Store::open(folder, options).unwrap().0
}

impl Stage {
    async fn new(config: CronConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(START));
        let store = open(folder.path(), &clock);
        let crontab = Crontab::new(Queues::new(store.clone()));
        crontab.apply(&table(config)).await.unwrap();
        Stage {
            folder,
            clock,
            store,
            crontab,
        }
    }

    async fn restart(self, config: CronConfig) -> Self {
        self.store.close().await;
        let store = open(self.folder.path(), &self.clock);
        let crontab = Crontab::new(Queues::new(store.clone()));
        crontab.apply(&table(config)).await.unwrap();
        Stage {
            store,
            crontab,
            ..self
        }
    }

    fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// Does all that is due.
    async fn tick(&self) {
        loop {
            let (firings, _) = self.crontab.plan(self.store.now());
            if firings.is_empty() {
                return;
            }
            self.crontab.fire(firings).await.unwrap();
        }
    }

    /// The ticks that waiting messages are for.
    async fn ticks(&self) -> Vec<String> {
        let waiting = self.store.peek(name(), 100).await.unwrap();
        let tick = |one: &gristmill_store::Peeked| {
            let envelope = &one.message.envelope;
            assert_eq!(envelope.attribute("gristmill-cron"), Some("minutely"));
            envelope.attribute("gristmill-tick").unwrap().to_owned()
        };
        waiting.iter().map(tick).collect()
    }

    async fn purge(&self) {
        let states = PurgeStates {
            ready: true,
            ..PurgeStates::default()
        };
        let purged = self.store.purge(name(), states, Default::default());
        purged.await.unwrap();
    }
}

#[tokio::test]
async fn a_tick_becomes_a_message_once_also_across_a_restart() {
    let stage = Stage::new(every_minute(Missed::All)).await;
    stage.tick().await;
    assert!(
        stage.ticks().await.is_empty(),
        "a new entry starts from now"
    );
    stage.pass(MINUTE + 5);
    stage.tick().await;
    stage.tick().await;
    assert_eq!(stage.ticks().await, ["2025-11-20T00:01:00Z"]);
    let stage = stage.restart(every_minute(Missed::All)).await;
    stage.tick().await;
    assert_eq!(stage.ticks().await.len(), 1);
    let shown = stage.crontab.list().remove(0);
    assert_eq!(shown.last.unwrap().tick.unix_ms(), START + MINUTE);
    assert_eq!(shown.next.unwrap().unix_ms(), START + 2 * MINUTE);
}

#[tokio::test]
async fn ticks_missed_while_the_host_was_down_are_made_up_for_as_configured() {
    for (missed, expected) in [
        (Missed::Skip, &[][..]),
        (Missed::Last, &["2025-11-20T00:02:00Z"]),
        (
            Missed::All,
            &["2025-11-20T00:01:00Z", "2025-11-20T00:02:00Z"],
        ),
    ] {
        let stage = Stage::new(every_minute(missed)).await;
        stage.pass(2 * MINUTE + 5);
        let stage = stage.restart(every_minute(missed)).await;
        stage.tick().await;
        assert_eq!(stage.ticks().await, expected, "{missed:?}");
    }
}

#[tokio::test]
async fn a_full_queue_delays_a_tick_and_says_so() {
    let stage = Stage::new(every_minute(Missed::Skip)).await;
    for _ in 0..4 {
        stage.pass(MINUTE);
        stage.tick().await;
    }
    assert_eq!(stage.ticks().await.len(), 3);
    let error = stage.crontab.list().remove(0).error.unwrap();
    assert!(error.contains("reports is full"), "{error}");
    stage.purge().await;
    stage.tick().await;
    assert!(stage.ticks().await.is_empty(), "not at once");
    stage.pass(1000);
    stage.tick().await;
    assert_eq!(stage.ticks().await, ["2025-11-20T00:04:00Z"]);
    assert_eq!(stage.crontab.list().remove(0).error, None);
}

#[tokio::test]
async fn a_new_configuration_changes_what_it_names_and_nothing_else() {
    let stage = Stage::new(every_minute(Missed::All)).await;
    stage.pass(30_000);
    let hourly = CronConfig {
        schedule: Schedule::new("@hourly", "UTC").unwrap(),
        ..every_minute(Missed::All)
    };
    let both: CronConfigs = [
        ("minutely".to_owned(), every_minute(Missed::All)),
        ("other".to_owned(), hourly.clone()),
    ]
    .into();
    stage.crontab.apply(&both).await.unwrap();
    stage.pass(30_000);
    stage.tick().await;
    assert_eq!(stage.ticks().await.len(), 1);
    let off = CronConfig {
        enabled: false,
        ..every_minute(Missed::All)
    };
    stage.crontab.apply(&table(off)).await.unwrap();
    let shown = stage.crontab.list();
    assert_eq!((shown.len(), shown[0].next), (1, None));
    stage.pass(10 * MINUTE);
    stage.tick().await;
    // Enabled again it starts from then; with another schedule too.
    stage
        .crontab
        .apply(&table(every_minute(Missed::All)))
        .await
        .unwrap();
    stage.tick().await;
    stage.crontab.apply(&table(hourly)).await.unwrap();
    stage.tick().await;
    assert_eq!(stage.ticks().await.len(), 1);
    let next = stage.crontab.list()[0].next.unwrap();
    assert_eq!(next.unix_ms(), START + 60 * MINUTE);
}

#[tokio::test]
async fn an_entry_is_run_by_hand_and_its_ticks_go_on() {
    let off = CronConfig {
        enabled: false,
        ..every_minute(Missed::Last)
    };
    for config in [every_minute(Missed::Last), off] {
        let stage = Stage::new(config).await;
        let before = stage.crontab.list()[0].next;
        stage.crontab.run_now("minutely").await.unwrap();
        stage.crontab.run_now("minutely").await.unwrap();
        assert_eq!(stage.ticks().await, ["2025-11-20T00:00:00Z"; 2]);
        let shown = stage.crontab.list().remove(0);
        assert_eq!((shown.next, shown.last), (before, None));
        let unknown = stage.crontab.run_now("nightly").await.unwrap_err();
        assert!(matches!(unknown, RunError::Unknown(_)), "{unknown}");
    }
}

/// Just before a tick the clock stands still: it is looked at again, but not without a rest.
#[tokio::test]
async fn the_loop_ticks_and_rests_between_two_looks() {
    let stage = Stage::new(every_minute(Missed::Last)).await;
    let (_changed, changes) = watch::channel(0);
    let (looks, mut looked) = tokio::sync::mpsc::unbounded_channel();
    let configs = Arc::new(table(every_minute(Missed::Last)));
    let run = stage.crontab.clone().run(changes, move || {
        looks.send(std::time::Instant::now()).unwrap();
        Some(Arc::clone(&configs))
    });
    stage.pass(MINUTE - 1);
    let run = tokio::spawn(run);
    let mut last = looked.recv().await.unwrap();
    for _ in 0..3 {
        let next = looked.recv().await.unwrap();
        assert!(next - last >= CRON_MIN_SLEEP, "{:?}", next - last);
        last = next;
    }
    assert!(stage.ticks().await.is_empty());
    stage.pass(1);
    while stage.ticks().await.is_empty() {
        looked.recv().await.unwrap();
    }
    assert_eq!(stage.ticks().await, ["2025-11-20T00:01:00Z"]);
    run.abort();
}
