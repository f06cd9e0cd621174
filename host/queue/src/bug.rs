//! Bugs that can be planted, to see that the tests would notice them.
//!
//! Nothing that is delivered has the feature `seeded-bugs`; without it [`is_planted`] is `false` when
//! this is compiled. `cargo soak bugs` plants one after the other, and demands that a test fails.

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident = $name:literal,)*) => {
        /// One of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Bug {
            $($(#[doc = $what])+ $bug,)*
        }

        impl Bug {
            /// All of them, by their names.
            pub const ALL: &'static [(&'static str, Bug)] = &[$(($name, Bug::$bug)),*];
        }
    };
}

bugs! {
    /// A group is answered before its commit.
    AnsweredBeforeCommit = "answered-before-commit",
    /// A commit is not synced.
    NotSynced = "not-synced",
    /// A new store has its name before redb has finished it.
    NamedTooEarly = "named-too-early",
    /// A dedup id is remembered in a commit after that of its message.
    DedupInSecondCommit = "dedup-in-second-commit",
    /// A repeat is answered before the original is durable.
    RepeatAnsweredEarly = "repeat-answered-early",
    /// A settlement is taken whatever its fence is.
    NoFence = "no-fence",
    /// What expires is gone from memory only.
    ExpiryNotRecorded = "expiry-not-recorded",
    /// What a handler stored is written in a commit after that of its ack.
    EffectsInSecondCommit = "effects-in-second-commit",
    /// The in-flight file names nobody.
    CrashNotCharged = "crash-not-charged",
    /// The back-off counts from the wall clock.
    RetryByWallClock = "retry-by-wall-clock",
    /// Who asked for what failed is told that it was refused.
    UnknownAsRefused = "unknown-as-refused",
    /// A group goes on while its head backs off.
    HeadSkipped = "head-skipped",
    /// The in-flight file forgets an attempt before its end is durable.
    ForgottenTooEarly = "forgotten-too-early",
    /// Checksums are not looked at.
    NotVerified = "not-verified",
    /// A queue whose handler is changed loses the leases of what is in flight.
    DetachLosesLeases = "detach-loses-leases",
    /// What handlers send needs no room in its queue.
    HandlersNotAdmitted = "handlers-not-admitted",
    /// A large body is not synced before its message is committed.
    BodyNotSynced = "body-not-synced",
    /// The lease of a pull consumer is kept in memory only.
    PullLeaseNotRecorded = "pull-lease-not-recorded",
    /// A pull consumer that lets its lease run out is not charged for it.
    LapseNotCounted = "lapse-not-counted",
    /// A compacted file takes the old one's place before it is whole.
    ReplacedTooEarly = "replaced-too-early",
    /// A half of the log is written again before redb has made what was in it durable.
    LogBegunTooEarly = "log-begun-too-early",
    /// A checkpoint does what redb writes and not what it syncs.
    CheckpointNotSynced = "checkpoint-not-synced",
    /// What a start finds in the log is not done again.
    LogNotReplayed = "log-not-replayed",
    /// HTTP answers what is not known as if nothing had been done.
    UnknownAnsweredAsBusy = "unknown-answered-as-busy",
    /// A delivery whose handler was replaced meanwhile is never settled.
    ReloadDropsDeliveries = "reload-drops-deliveries",
}

#[cfg(feature = "seeded-bugs")]
mod planted {
    use std::sync::LazyLock;

    use super::Bug;

    /// The bug that `GRISTMILL_BUG` names, in this process and for good.
    static PLANTED: LazyLock<Option<Bug>> = LazyLock::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing that is delivered has this"
        )]
        let name = std::env::var("GRISTMILL_BUG").ok()?;
        let found = Bug::ALL.iter().find(|(known, _)| *known == name);
        assert!(found.is_some(), "there is no bug {name} to plant");
        found.map(|(_, bug)| *bug)
    });

    /// Whether it is planted.
    ///
    /// # Panics
    /// When a bug is to be planted that there is not.
    #[must_use]
    pub fn is_planted(bug: Bug) -> bool {
        *PLANTED == Some(bug)
    }
}

/// Whether it is planted.
#[cfg(not(feature = "seeded-bugs"))]
#[must_use]
pub const fn is_planted(_: Bug) -> bool {
    false
}

#[cfg(feature = "seeded-bugs")]
pub use planted::is_planted;
