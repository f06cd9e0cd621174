//! The pages of the file, read without redb, which stops or panics at the first that is damaged.
//!
//! What is known here of redb's format, version 3: a header with two commit slots; each slot points
//! to the tree of tables, and each table to its tree. A pointer to a page comes with the checksum of
//! what is in it, so a page is known to be sound before anything in it is believed. Nothing here
//! fails: what cannot be read is told as not there.
//!
//! ```text
//! header   magic 9 · flags u8 · 2 · page size u32 · pages before each region u32 · pages of a region u32 · …
//! slot     version u8 · has tables u8 · 6 · pointer to the tree of tables · … · checksum (at 112)
//! pointer  page u64 · checksum u128 · length u64
//! leaf     1 · any · pairs u16 · [end of each key u32] · [end of each value u32] · keys · values
//! branch   2 · any · keys u16 · 4 · checksum u128 of each child · page u64 of each child · [end of each key u32] · keys
//! ```
//!
//! What stands in brackets is not there if the keys or values all have one length. A page's number
//! has its index in 20 bits, its region in 20 bits, and in the top 5 bits how often 4096 was doubled.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
pub(super) const PAGE: u64 = 4096;
const SLOTS: [usize; 2] = [64, 192];
const SLOT: usize = 128;
const SLOT_SUM: usize = 112;
const VERSION: u8 = 3;
/// Bytes of a pointer with the number of what is beneath it.
const POINTER: usize = 32;
/// The largest page is 4096 bytes doubled so often.
const MAX_ORDER: u64 = 20;

/// How long the keys and the values of a tree are, if all have one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub key: Option<usize>,
    pub value: Option<usize>,
}

/// The tree of tables: names to definitions.
pub(super) const TABLES: Shape = Shape {
    key: None,
    value: None,
};

/// Points to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    number: u64,
    sum: u128,
    /// How many pairs are in the whole tree, where that is known.
    pub length: u64,
}

/// A file of pages.
pub(crate) struct PageFile {
    file: File,
    length: u64,
    /// Bytes of a region, and of what comes before its pages.
    region: u64,
    before: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let part = bytes.get(at..at.checked_add(2)?)?;
    part.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    part.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(8)?)?;
    part.try_into().ok().map(u64::from_le_bytes)
}

fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    let part = bytes.get(at..at.checked_add(16)?)?;
    part.try_into().ok().map(u128::from_le_bytes)
}

fn pointer_at(bytes: &[u8], at: usize) -> Option<Pointer> {
    Some(Pointer {
        number: u64_at(bytes, at)?,
        sum: u128_at(bytes, at + 8)?,
        length: u64_at(bytes, at + 24)?,
    })
}

impl PageFile {
    /// Opens a file, and tells where its trees of tables begin: the one that counts first. None, if
    /// its header is damaged.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Option<Pointer>>)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut pages = PageFile {
            file,
            length,
            region: u64::MAX,
            before: 0,
        };
        let roots = pages.header().unwrap_or_default();
        Ok((pages, roots))
    }

    fn header(&mut self) -> Option<Vec<Option<Pointer>>> {
        let header = self.bytes(0, SLOTS[1] as u64 + SLOT as u64)?;
        if !header.starts_with(MAGIC) || u64::from(u32_at(&header, 12)?) != PAGE {
            return None;
        }
        self.before = u64::from(u32_at(&header, 16)?) * PAGE;
        self.region = self.before + u64::from(u32_at(&header, 20)?) * PAGE;
        let first = usize::from(header[MAGIC.len()] & 1);
        let roots = [SLOTS[first], SLOTS[1 - first]].map(|at| {
            let slot = header.get(at..at + SLOT)?;
            let sound = u128_at(slot, SLOT_SUM)? == xxh3_128(&slot[..SLOT_SUM]);
            if !sound || slot[0] != VERSION {
                return None;
            }
            // A slot without tables has a root that nothing is at.
            Some((slot[1] != 0).then(|| pointer_at(slot, 8)).flatten())
        });
        Some(roots.into_iter().flatten().collect())
    }

    /// How long the file is.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of the file; none, if they are not there or cannot be read.
    pub fn bytes(&self, offset: u64, length: u64) -> Option<Vec<u8>> {
        if offset.checked_add(length)? > self.length {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    /// The page at the end of a pointer, whatever is in it.
    pub fn page(&self, pointer: Pointer) -> Option<Vec<u8>> {
        let order = pointer.number >> 59;
        if order > MAX_ORDER {
            return None;
        }
        let index = pointer.number & (0xf_ffff >> order);
        let region = (pointer.number >> 20) & 0xf_ffff;
        let size = PAGE << order;
        let offset = region
            .checked_mul(self.region)?
            .checked_add(PAGE + self.before + index * size)?;
        // The last page of a file may end before its place does.
        let there = self.length.checked_sub(offset)?.min(size);
        self.bytes(offset, there)
    }
}

/// A page that is a leaf, at least by its looks.
pub(crate) struct Leaf<'p> {
    page: &'p [u8],
    shape: Shape,
    pairs: usize,
}

impl<'p> Leaf<'p> {
    pub fn parse(page: &'p [u8], shape: Shape) -> Option<Self> {
        let pairs = usize::from(u16_at(page, 2)?);
        (page[0] == 1 && pairs > 0).then_some(Leaf { page, shape, pairs })
    }

    pub fn pairs(&self) -> usize {
        self.pairs
    }

    fn keys(&self) -> usize {
        let ends = usize::from(self.shape.key.is_none()) + usize::from(self.shape.value.is_none());
        4 + 4 * ends * self.pairs
    }

    fn key_end(&self, at: usize) -> Option<usize> {
        match self.shape.key {
            Some(length) => Some(self.keys() + length * (at + 1)),
            None => usize::try_from(u32_at(self.page, 4 + 4 * at)?).ok(),
        }
    }

    fn value_end(&self, at: usize) -> Option<usize> {
        if let Some(length) = self.shape.value {
            return Some(self.key_end(self.pairs - 1)? + length * (at + 1));
        }
        let ends = if self.shape.key.is_none() {
            4 + 4 * self.pairs
        } else {
            4
        };
        usize::try_from(u32_at(self.page, ends + 4 * at)?).ok()
    }

    /// A key and its value, if they lie in the page.
    pub fn pair(&self, at: usize) -> Option<(&'p [u8], &'p [u8])> {
        let key_start = match at.checked_sub(1) {
            None => self.keys(),
            Some(before) => self.key_end(before)?,
        };
        let value_start = match at.checked_sub(1) {
            None => self.key_end(self.pairs - 1)?,
            Some(before) => self.value_end(before)?,
        };
        let key = self.page.get(key_start..self.key_end(at)?)?;
        let value = self.page.get(value_start..self.value_end(at)?)?;
        Some((key, value))
    }

    /// Where the last value ends.
    pub fn end(&self) -> Option<usize> {
        self.value_end(self.pairs - 1)
    }

    /// Whether it is what the pointer to it says.
    pub fn is(&self, pointer: Pointer) -> bool {
        let content = self.end().and_then(|end| self.page.get(..end));
        content.is_some_and(|content| xxh3_128(content) == pointer.sum)
    }
}

/// A page that is a branch, at least by its looks.
pub(crate) struct Branch<'p> {
    page: &'p [u8],
    key: Option<usize>,
    keys: usize,
}

impl<'p> Branch<'p> {
    pub fn parse(page: &'p [u8], shape: Shape) -> Option<Self> {
        let keys = usize::from(u16_at(page, 2)?);
        (page[0] == 2 && keys > 0).then_some(Branch {
            page,
            key: shape.key,
            keys,
        })
    }

    pub fn children(&self) -> usize {
        self.keys + 1
    }

    pub fn child(&self, at: usize) -> Option<Pointer> {
        Some(Pointer {
            number: u64_at(self.page, 8 + 16 * self.children() + 8 * at)?,
            sum: u128_at(self.page, 8 + 16 * at)?,
            length: 0,
        })
    }

    fn ends(&self) -> usize {
        8 + 24 * self.children()
    }

    fn key_end(&self, at: usize) -> Option<usize> {
        match self.key {
            Some(length) => Some(self.ends() + length * (at + 1)),
            None => usize::try_from(u32_at(self.page, self.ends() + 4 * at)?).ok(),
        }
    }

    /// The key between a child and the next: it is not less than what the child has.
    pub fn key(&self, at: usize) -> Option<&'p [u8]> {
        if at >= self.keys {
            return None;
        }
        let start = match (at.checked_sub(1), self.key) {
            (Some(before), _) => self.key_end(before)?,
            (None, Some(_)) => self.ends(),
            (None, None) => self.ends() + 4 * self.keys,
        };
        self.page.get(start..self.key_end(at)?)
    }

    /// Whether it is what the pointer to it says.
    pub fn is(&self, pointer: Pointer) -> bool {
        let content = self.key_end(self.keys - 1);
        let content = content.and_then(|end| self.page.get(..end));
        content.is_some_and(|content| xxh3_128(content) == pointer.sum)
    }
}

/// What the tree of tables says of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Nothing, if the table is empty.
    pub root: Option<Pointer>,
    pub length: u64,
    pub shape: Shape,
}

impl Definition {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        // A table with one value for each key.
        if *bytes.first()? != 3 {
            return None;
        }
        let optional = |at: usize| -> Option<Option<usize>> {
            let length = usize::try_from(u32_at(bytes, at + 1)?).ok()?;
            Some((*bytes.get(at)? != 0).then_some(length))
        };
        let root = pointer_at(bytes, 10)?;
        Some(Definition {
            root: (bytes[9] != 0).then_some(root),
            length: u64_at(bytes, 1)?,
            shape: Shape {
                key: optional(10 + POINTER)?,
                value: optional(10 + POINTER + 5)?,
            },
        })
    }
}
