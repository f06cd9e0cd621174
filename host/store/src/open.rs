//! Opening the file: whose it may be, its format, and the boot transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::id::MAX_SEQUENCE;
use gristmill_queue::{Board, IdSource, Timestamp};
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::blob::{Blobs, FileStep};
use crate::checkpoint::Checkpoints;
use crate::clock::RunningClock;
use crate::copy::COPIED;
use crate::destination;
use crate::disk::on_disk;
use crate::error::{OpenError, panicked};
use crate::guarded::Guarded;
use crate::inbox::Inbox;
use crate::inflight::InFlightFile;
use crate::lock::FolderLock;
use crate::log;
use crate::offline::compact;
use crate::reserve::Reserve;
use crate::secret;
use crate::store::{Options, Recovery};
use crate::tables::{
    BLOB, CLOCK_KEY, CRON, DEAD, DEAD_INDEX, DEDUP, DEDUP_EXPIRY, FORMAT, HAS_LOG, HELD, HISTORY,
    INDEX, LEASE, MADE, MESSAGE, META, QUARANTINE, QUEUE, REDRIVE, STATE, check_complete,
    committed,
};
use crate::verify;
use crate::writer::group::{self, ClockRow, decode_clock};
use crate::writer::{Hot, Large, Writer};

/// The open file, and the lock on its folder, which is let go of when the last user of the file is
/// gone and it is closed.
pub(crate) struct Opened {
    database: Guarded,
    _lock: FolderLock,
}

impl Deref for Opened {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// The name of the file in its folder.
pub(crate) const FILE: &str = "store.redb";
/// Its name until it is a database: a host that dies while it makes it leaves one that is none, and
/// that is made again.
const UNFINISHED: &str = "store.redb.new";

/// What `meta` and the clock row say.
struct Header {
    boot: u64,
    salt: u64,
    receipt_key: [u8; 32],
    seen: Timestamp,
    next_sequence: u64,
    next_ordinal: u64,
}

/// What becomes of the file: its writer, the large bodies, the secret of receipts, what was found.
pub(crate) type OpenStore = (Writer, Arc<Blobs>, [u8; 32], Recovery);

/// Opens the store in `folder`, which is locked, and makes its writer. A panic of redb over a damaged
/// page is an error like others.
pub(crate) fn open(
    folder: &Path,
    lock: FolderLock,
    options: &mut Options,
) -> Result<OpenStore, OpenError> {
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| open_sound(folder, lock, options)));
    opened.unwrap_or_else(|cause| {
        Err(OpenError::Damaged {
            file: folder.join(FILE),
            source: panicked(cause.as_ref()),
        })
    })
}

fn open_sound(
    folder: &Path,
    lock: FolderLock,
    options: &mut Options,
) -> Result<OpenStore, OpenError> {
    let file = folder.join(FILE);
    let damaged = |source: redb::Error| OpenError::Damaged {
        file: file.clone(),
        source,
    };
    let unusable = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    if destination::is_unfinished(folder) {
        return Err(OpenError::Unfinished {
            folder: folder.to_owned(),
        });
    }
    let fresh = !file.exists() && !is_planted(Bug::NamedTooEarly);
    // What a compaction that was interrupted has left only takes room.
    let _ = compact::remove(&folder.join(compact::NEW_FILE));
    let unfinished = folder.join(UNFINISHED);
    let made = if fresh { &unfinished } else { &file };
    let handle = open_private(made, fresh).map_err(unusable)?;
    if is_planted(Bug::NamedTooEarly)
        && let Some(watch) = &options.watch
    {
        watch(FileStep::StoreNamed);
    }
    let verifying = verify::is_marked(folder);
    if verifying {
        tracing::warn!(
            "the store failed the last time: all of it is verified, which takes its time"
        );
        verify::forget_cached(&handle).map_err(unusable)?;
    }
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    let on_disk = on_disk(handle, options.open_file.take()).map_err(damaged)?;
    let checkpoints = Checkpoints::of(on_disk, options.checkpoint_by_hand.take());
    let database = builder.create_with_backend(checkpoints.pages());
    let mut database = Guarded::new(database.map_err(|error| damaged(error.into()))?);
    let watch = options.watch.take();
    if fresh {
        give_name(folder, &unfinished, &file).map_err(unusable)?;
        if let Some(watch) = &watch {
            watch(FileStep::StoreNamed);
        }
    }
    if verifying {
        verify::verify_pages(&mut database).map_err(damaged)?;
    }
    check_format(&database, &file, fresh)?;
    let mut log = log::open(folder, options, &database)?;
    let header = boot(&database).map_err(damaged)?;
    log.belongs_to(header.salt);
    let clock = RunningClock::start(options.clock.clone(), header.seen);
    let inflight = InFlightFile::open(&folder.join("inflight"));
    let (inflight, named) = inflight.map_err(|source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    let reserve = Reserve::new(
        folder,
        options.disk_reserve,
        options.space.take(),
        clock.clone(),
    );
    let blobs = Blobs::open(folder, header.boot, options.inline_bytes, reserve, watch);
    let blobs = Arc::new(blobs.map_err(|source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    })?);
    let mut writer = Writer {
        database: Arc::new(Opened {
            database,
            _lock: lock,
        }),
        inbox: Arc::new(Inbox::new()),
        board: Board::new(header.boot),
        ids: Arc::new(IdSource::new(header.next_sequence, header.salt)),
        last_now: clock.now(),
        time_written: header.seen,
        clock,
        inflight,
        next_ordinal: header.next_ordinal,
        log,
        checkpoints,
        hot: Hot::new(options.hot_bytes),
        sinks: HashMap::new(),
        leased: HashMap::new(),
        forget: BTreeSet::new(),
        rests: HashMap::new(),
        redrives: BTreeMap::new(),
        moved: Vec::new(),
        topics: Default::default(),
        replies: Default::default(),
        made: Default::default(),
        receivers: Default::default(),
        on_fatal: options.on_fatal.take(),
        answer_elsewhere: options.answer_elsewhere.take(),
        next_housekeeping: Timestamp::ZERO,
        todo: Vec::new(),
        answers: Vec::new(),
        ended_slots: Vec::new(),
        fresh_next: HashSet::new(),
        large: Large::new(Arc::clone(&blobs)),
        folder: folder.to_owned(),
    };
    writer.restore_blobs().map_err(damaged)?;
    let letters_missing = writer
        .restore_queues(options)
        .map_err(|fatal| damaged(fatal.source))?;
    let verified = if verifying {
        Some(writer.verify_records(&blobs).map_err(damaged)?)
    } else {
        None
    };
    let unsound = verified.as_ref().map(|verified| &verified.unsound);
    let pulled = writer.restore_leases(unsound);
    let pulled = pulled.map_err(|fatal| damaged(fatal.source))?;
    let suspects = writer
        .charge(&named)
        .map_err(|fatal| damaged(fatal.source))?;
    let (waiting, quarantined) = writer.restore_messages(unsound).map_err(damaged)?;
    writer.restore_redrives().map_err(damaged)?;
    writer
        .inflight
        .clear()
        .map_err(|source| OpenError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
    if verifying {
        verify::unmark(folder).map_err(|source| OpenError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
    }
    Ok((
        writer,
        blobs,
        header.receipt_key,
        Recovery {
            boot: header.boot,
            waiting,
            pulled,
            suspects,
            quarantined,
            letters_missing,
            verified: verified.map(|verified| verified.records),
        },
    ))
}

/// Bodies are private to whoever runs the host, from the first moment on. What is left of a file that
/// was not finished goes.
pub(crate) fn open_private(file: &Path, fresh: bool) -> std::io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let handle = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(fresh)
        .mode(0o600)
        .open(file)?;
    handle.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(handle)
}

/// The file is a database now, durably, and nothing is in it. That it is there must be durable before
/// anything in it is.
fn give_name(folder: &Path, unfinished: &Path, file: &Path) -> std::io::Result<()> {
    std::fs::rename(unfinished, file)?;
    File::open(folder)?.sync_all()?;
    if let Some(parent) = folder.canonicalize()?.parent() {
        // Not everybody may open the folder above; then it is not ours that was just made.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    Ok(())
}

fn check_format(database: &Database, file: &Path, fresh: bool) -> Result<(), OpenError> {
    let damaged = |source: redb::Error| OpenError::Damaged {
        file: file.to_owned(),
        source,
    };
    let read = || -> Result<Option<u64>, redb::Error> {
        let Some(meta) = committed(database, META)? else {
            return Ok(None);
        };
        Ok(meta.get("format")?.map(|format| format.value()))
    };
    match read().map_err(damaged)? {
        Some(1..FORMAT) => Ok(()),
        Some(FORMAT) => check_complete(database).map_err(damaged),
        Some(found) => Err(OpenError::NewerFormat {
            file: file.to_owned(),
            found,
            known: FORMAT,
        }),
        None if fresh => Ok(()),
        None => {
            // Made, but not yet written by us: a host that died in its first moment.
            let empty = database
                .begin_read()
                .map_err(|error| damaged(error.into()))?;
            let mut tables = empty.list_tables().map_err(|error| damaged(error.into()))?;
            if tables.next().is_none() {
                Ok(())
            } else {
                Err(OpenError::NotAStore {
                    file: file.to_owned(),
                })
            }
        }
    }
}

/// The boot transaction: makes what is missing, and counts this start, so that all leases of
/// earlier ones are void.
fn boot(database: &Database) -> Result<Header, redb::Error> {
    let transaction = group::begin(database).map_err(|fatal| fatal.source)?;
    let header;
    {
        let mut meta = transaction.open_table(META)?;
        let number = |meta: &redb::Table<'_, &'static str, u64>,
                      name: &str|
         -> Result<Option<u64>, redb::Error> {
            Ok(meta.get(name)?.map(|value| value.value()))
        };
        let boot = number(&meta, "boot")?.unwrap_or(0).checked_add(1);
        let boot = boot.ok_or_else(|| redb::Error::Corrupted("the boot number".into()))?;
        let copied = meta.remove(COPIED)?.is_some();
        let salt = number(&meta, "salt")?.filter(|_| !copied);
        let salt = salt.unwrap_or_else(draw);
        meta.insert("format", FORMAT)?;
        meta.insert("boot", boot)?;
        meta.insert("salt", salt)?;
        meta.insert(HAS_LOG, 1)?;
        let receipt_key = secret::receipt_key(&mut meta)?;
        let messages = transaction.open_table(MESSAGE)?;
        let index = transaction.open_table(INDEX)?;
        let dead = transaction.open_table(DEAD)?;
        transaction.open_table(HISTORY)?;
        transaction.open_table(DEAD_INDEX)?;
        transaction.open_table(HELD)?;
        transaction.open_table(LEASE)?;
        transaction.open_table(STATE)?;
        transaction.open_table(DEDUP)?;
        transaction.open_table(DEDUP_EXPIRY)?;
        transaction.open_table(REDRIVE)?;
        transaction.open_table(CRON)?;
        transaction.open_table(MADE)?;
        transaction.open_table(BLOB)?;
        transaction.open_table(QUEUE)?;
        transaction.open_table(QUARANTINE)?;
        let clock = index
            .get(CLOCK_KEY)?
            .map(|bytes| decode_clock(bytes.value()))
            .transpose()
            .map_err(|_| redb::Error::Corrupted("the row of the clock".into()))?;
        let clock = clock.unwrap_or(ClockRow {
            seen: Timestamp::ZERO,
            next_sequence: 1,
            next_ordinal: 1,
            commit: 0,
        });
        // The clock row tells; what stands in the tables must not be overtaken in any case.
        let last = [
            messages.last()?.map(|(key, _)| key.value()),
            dead.last()?.map(|(key, _)| key.value()),
        ];
        let last = last.into_iter().flatten().max().unwrap_or(0);
        header = Header {
            boot,
            salt,
            receipt_key,
            seen: clock.seen,
            next_sequence: begin_anew(clock.next_sequence.max(last + 1), copied),
            next_ordinal: clock.next_ordinal,
        };
    }
    group::end_durably(transaction).map_err(|fatal| fatal.source)?;
    Ok(header)
}

/// How many ids lie between those that two copies of a store may give first.
const STEP: u64 = 1 << 36;

/// The next sequence number. A copy leaves out some, so that it does not give the ids which the store
/// that it was copied from, or another copy, gives.
fn begin_anew(next: u64, copied: bool) -> u64 {
    let steps = 1 + draw() % 4096;
    let skipped = next.saturating_add(steps * STEP);
    if copied && skipped < MAX_SEQUENCE / 2 {
        skipped
    } else {
        next
    }
}

/// Drawn once for each store; only has to differ from store to store.
fn draw() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
