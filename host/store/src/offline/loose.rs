//! What lies in pages that nothing leads to, or not any more: read page by page, wherever a leaf
//! stands. Each record is recognized by its own checksum.
//!
//! Such a page may be an old one. A message never changes, so an old copy of it is as good as the last;
//! of what changes, the newest copy is taken.

use super::pages::{Leaf, PAGE, PageFile, Shape};
use super::{Progress, number};

/// The longest leaf that is looked into. A leaf is longer than a page only for one long record.
const MAX_LEAF: usize = 64 * 1024 * 1024;
/// Bytes that are read at once.
const WINDOW: u64 = 1024 * 1024;
/// Bytes of a page.
const BYTES: usize = 4096;
const _: () = assert!(BYTES as u64 == PAGE);

const NUMBERED: Shape = Shape {
    key: Some(8),
    value: None,
};
const NAMED: Shape = Shape {
    key: None,
    value: None,
};
const QUEUES: Shape = Shape {
    key: None,
    value: Some(5),
};

/// A record that may be one.
pub(super) enum Loose<'p> {
    /// With a number for its key.
    Numbered(u64, &'p [u8]),
    /// With any other key.
    Named(&'p [u8], &'p [u8]),
    /// That looks like a queue's.
    Queue(&'p [u8], &'p [u8]),
}

/// Shows everything in the file that may be a record.
pub(super) fn scan(file: &PageFile, progress: Progress<'_>, found: &mut dyn FnMut(Loose<'_>)) {
    let of = file.length();
    let mut window = 0;
    while window < of {
        progress("all pages", window, of);
        let length = WINDOW.min(of - window);
        // What cannot be read in one is tried page by page.
        match file.bytes(window, length) {
            Some(bytes) => {
                for (at, page) in (0..).zip(bytes.chunks(BYTES)) {
                    look(file, window + at * PAGE, page, found);
                }
            }
            None => {
                for at in (0..length).step_by(BYTES) {
                    let page = file.bytes(window + at, PAGE.min(length - at));
                    look(file, window + at, &page.unwrap_or_default(), found);
                }
            }
        }
        window += length;
    }
}

fn look(file: &PageFile, offset: u64, page: &[u8], found: &mut dyn FnMut(Loose<'_>)) {
    if page.len() < 4 || page[0] != 1 {
        return;
    }
    for shape in [NUMBERED, NAMED, QUEUES] {
        let Some(end) = Leaf::parse(page, shape).and_then(|leaf| leaf.end()) else {
            continue;
        };
        let whole;
        let leaf = if end <= page.len() {
            page
        } else if end <= MAX_LEAF {
            let there = file.length().saturating_sub(offset).min(end as u64);
            whole = file.bytes(offset, there).unwrap_or_default();
            &whole
        } else {
            page
        };
        // Read whole or not, its first bytes are the same.
        if let Some(leaf) = Leaf::parse(if leaf.is_empty() { page } else { leaf }, shape) {
            show(&leaf, shape, found);
        }
    }
}

fn show(leaf: &Leaf<'_>, shape: Shape, found: &mut dyn FnMut(Loose<'_>)) {
    for at in 0..leaf.pairs() {
        let Some((key, value)) = leaf.pair(at) else {
            continue;
        };
        if shape == QUEUES {
            found(Loose::Queue(key, value));
        } else if shape == NAMED {
            found(Loose::Named(key, value));
        } else if let Some(key) = number(key) {
            found(Loose::Numbered(key, value));
        }
    }
}
