//! The content of a disk, of which copies cost next to nothing: they share their pages until one of
//! them writes.

use std::collections::BTreeMap;
use std::sync::Arc;

pub const PAGE: usize = 4096;
type Page = [u8; PAGE];

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Store,
    Log,
}

/// The file of the store and its log, and the files of the large bodies by their names.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub store: Pages,
    pub log: Pages,
    pub files: BTreeMap<u64, Arc<Vec<u8>>>,
}

impl Image {
    pub fn of(&self, which: Which) -> &Pages {
        match which {
            Which::Store => &self.store,
            Which::Log => &self.log,
        }
    }

    pub fn of_mut(&mut self, which: Which) -> &mut Pages {
        match which {
            Which::Store => &mut self.store,
            Which::Log => &mut self.log,
        }
    }
}

/// What one file has in it.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    pages: Vec<Arc<Page>>,
    length: u64,
}

/// Each page, and the part of it, that bytes at a place belong to.
fn parts(at: u64, length: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let here = usize::try_from(at).expect("it fits in memory") + done;
        let (page, from) = (here / PAGE, here % PAGE);
        let bytes = (PAGE - from).min(length - done);
        let part = (page, from..from + bytes, done);
        done += bytes;
        Some(part)
    })
}

impl Pages {
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What is beyond a new, shorter end is gone; what is before a new, longer one is zero.
    pub fn set_length(&mut self, length: u64) {
        let pages = usize::try_from(length)
            .expect("it fits in memory")
            .div_ceil(PAGE);
        if length < self.length {
            let kept = usize::try_from(length).expect("it fits in memory") % PAGE;
            self.pages.truncate(pages);
            if kept > 0
                && let Some(last) = self.pages.last_mut()
            {
                Arc::make_mut(last)[kept..].fill(0);
            }
        } else if pages > self.pages.len() {
            self.pages.resize(pages, Arc::new([0; PAGE]));
        }
        self.length = length;
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let end = at + bytes.len() as u64;
        if end > self.length {
            self.set_length(end);
        }
        for (page, range, from) in parts(at, bytes.len()) {
            let new = &bytes[from..from + range.len()];
            Arc::make_mut(&mut self.pages[page])[range].copy_from_slice(new);
        }
    }

    /// Says whether so many bytes are there.
    pub fn read(&self, at: u64, out: &mut [u8]) -> bool {
        if at + out.len() as u64 > self.length {
            return false;
        }
        for (page, range, from) in parts(at, out.len()) {
            let length = range.len();
            out[from..from + length].copy_from_slice(&self.pages[page][range]);
        }
        true
    }
}
