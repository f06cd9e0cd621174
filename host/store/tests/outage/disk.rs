//! A disk in memory that writes down what it is told, so that it can be found as it was, or might have
//! been, at any moment.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use gristmill_store::{FileStep, OpenFile, Watch};
use redb::StorageBackend;

use super::image::{Image, Which};

/// What was done to it.
#[derive(Clone, Debug)]
pub enum Event {
    Length(Which, u64),
    Bytes(Which, u64, Arc<[u8]>),
    Synced,
    File(FileStep),
    /// What a file of a large body has in it, durably.
    Content(u64, Arc<Vec<u8>>),
    /// What the in-flight file has in it.
    InFlight(Arc<Vec<u8>>),
}

/// What became of a disk from one moment on.
#[derive(Debug, Default)]
pub struct Record {
    pub base: Image,
    pub events: Vec<Event>,
    /// After how many events a file was synced, which, and what was written by then.
    pub syncs: Vec<(usize, Which, Image)>,
}

#[derive(Debug, Default)]
struct Inner {
    record: Record,
    now: Image,
    /// Where the other files of the store really are.
    folder: Option<PathBuf>,
}

/// The disk. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

/// A file on it.
#[derive(Debug)]
struct OnDisk(Disk, Which);

impl Disk {
    pub fn with(image: Image) -> Self {
        let record = Record {
            base: image.clone(),
            ..Record::default()
        };
        let inner = Inner {
            record,
            now: image,
            folder: None,
        };
        Disk(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics with it")
    }

    /// Where the in-flight file and those of the large bodies are.
    pub fn look_into(&self, folder: PathBuf) {
        self.lock().folder = Some(folder);
    }

    /// How much has been done to it, and what it has.
    pub fn now(&self) -> (usize, Image) {
        let mut inner = self.lock();
        inner.note_in_flight();
        (inner.record.events.len(), inner.now.clone())
    }

    /// What was done to it; nothing more is written down.
    pub fn take(&self) -> Record {
        std::mem::take(&mut self.lock().record)
    }

    /// What opens the file of the database on it.
    pub fn open_file(&self) -> OpenFile {
        let disk = self.clone();
        Box::new(move |_| Ok(Box::new(disk.file())))
    }

    /// What opens the log on it.
    pub fn open_log(&self) -> OpenFile {
        let disk = self.clone();
        Box::new(move |_| Ok(Box::new(disk.log())))
    }

    /// The file of the database on it.
    pub fn file(&self) -> impl StorageBackend + use<> {
        OnDisk(self.clone(), Which::Store)
    }

    /// The log on it.
    pub fn log(&self) -> impl StorageBackend + use<> {
        OnDisk(self.clone(), Which::Log)
    }

    /// What is told of the files of large bodies.
    pub fn watch(&self) -> Watch {
        let disk = self.clone();
        Arc::new(move |step| disk.lock().note(step))
    }
}

impl Inner {
    fn note(&mut self, step: FileStep) {
        self.record.events.push(Event::File(step));
        if step == FileStep::CopySynced {
            self.sync(Which::Store);
        }
        if let (FileStep::Filled(name), Some(folder)) = (step, &self.folder) {
            let file = folder.join("blobs").join(format!("{name:016x}"));
            let content = Arc::new(fs::read(file).expect("it was just filled"));
            self.record.events.push(Event::Content(name, content));
        }
    }

    fn sync(&mut self, which: Which) {
        self.note_in_flight();
        self.record.events.push(Event::Synced);
        let after = self.record.events.len();
        self.record.syncs.push((after, which, self.now.clone()));
    }

    /// The in-flight file is never synced: what it has at a sync is what it has when the host dies
    /// there.
    fn note_in_flight(&mut self) {
        let Some(folder) = &self.folder else { return };
        if let Ok(content) = fs::read(folder.join("inflight")) {
            let event = Event::InFlight(Arc::new(content));
            self.record.events.push(event);
        }
    }
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().now.of(self.1).length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.0.lock().now.of(self.1).read(offset, out) {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.record.events.push(Event::Length(self.1, length));
        inner.now.of_mut(self.1).set_length(length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.lock().sync(self.1);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock();
        let event = Event::Bytes(self.1, offset, bytes.into());
        inner.record.events.push(event);
        inner.now.of_mut(self.1).write(offset, bytes);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}
