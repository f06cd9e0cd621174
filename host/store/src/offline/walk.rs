//! Walking a tree of the file, around what is damaged.

use std::collections::BTreeMap;

use super::pages::{Branch, Definition, Leaf, PageFile, Pointer, Shape, TABLES};

/// No tree is deeper: the file could not hold it.
const MAX_DEPTH: usize = 32;

/// A part of a tree that could not be read: the keys after the first and up to the last, as
/// [`Order`] writes them. No bound is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub after: Option<Vec<u8>>,
    pub to: Option<Vec<u8>>,
}

impl Lost {
    /// A whole tree.
    pub const ALL: Lost = Lost {
        after: None,
        to: None,
    };

    /// Whether a key may have been in it.
    pub fn has(&self, key: &[u8]) -> bool {
        self.after.as_deref().is_none_or(|after| key > after)
            && self.to.as_deref().is_none_or(|to| key <= to)
    }
}

/// How the keys of a table are compared: as bytes, after each part was turned around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Bytes,
    /// Numbers of these lengths, their least byte first.
    Numbers(&'static [usize]),
}

impl Order {
    /// A key so that keys are compared as bytes are.
    pub fn of(self, key: &[u8]) -> Vec<u8> {
        let mut ordered = key.to_vec();
        if let Order::Numbers(lengths) = self {
            let mut at = 0;
            for length in lengths {
                if let Some(part) = ordered.get_mut(at..at + length) {
                    part.reverse();
                }
                at += length;
            }
        }
        ordered
    }
}

/// A pair that was found.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'p> {
    pub key: &'p [u8],
    pub value: &'p [u8],
    /// The page has the checksum that it should.
    pub sound: bool,
}

/// Where a page is expected, and which keys may be in it.
#[derive(Clone)]
struct Place {
    pointer: Pointer,
    range: Lost,
    depth: usize,
}

/// Shows all pairs of a tree that can be read, in order as far as the tree is sound, and tells what
/// could not be read. Pairs in a page that is not sound are shown too, and that page is told as lost.
pub(crate) fn walk(
    file: &PageFile,
    root: Option<Pointer>,
    shape: Shape,
    order: Order,
    visit: &mut dyn FnMut(Pair<'_>),
) -> Vec<Lost> {
    let mut lost = Vec::new();
    let mut next: Vec<Place> = root
        .map(|pointer| Place {
            pointer,
            range: Lost::ALL,
            depth: 0,
        })
        .into_iter()
        .collect();
    while let Some(place) = next.pop() {
        match file.page(place.pointer) {
            Some(page) if place.depth < MAX_DEPTH => {
                if let Some(leaf) = Leaf::parse(&page, shape) {
                    show(&leaf, &place, visit, &mut lost);
                } else if let Some(branch) = Branch::parse(&page, shape) {
                    descend(file, &branch, &place, (shape, order), &mut next, &mut lost);
                } else {
                    lost.push(place.range);
                }
            }
            _ => lost.push(place.range),
        }
    }
    lost
}

fn show(leaf: &Leaf<'_>, place: &Place, visit: &mut dyn FnMut(Pair<'_>), lost: &mut Vec<Lost>) {
    let sound = leaf.is(place.pointer);
    if !sound {
        lost.push(place.range.clone());
    }
    for at in 0..leaf.pairs() {
        if let Some((key, value)) = leaf.pair(at) {
            visit(Pair { key, value, sound });
        }
    }
}

/// The children of a branch that is not sound are believed if they are.
fn descend(
    file: &PageFile,
    branch: &Branch<'_>,
    place: &Place,
    (shape, order): (Shape, Order),
    next: &mut Vec<Place>,
    lost: &mut Vec<Lost>,
) {
    let sound = branch.is(place.pointer);
    if !sound {
        lost.push(place.range.clone());
    }
    // The first is taken first, so it is put last.
    for at in (0..branch.children()).rev() {
        let Some(pointer) = branch.child(at) else {
            continue;
        };
        let mut range = place.range.clone();
        if sound {
            let bound = |at: usize| branch.key(at).map(|key| order.of(key));
            if let Some(after) = at.checked_sub(1).and_then(bound) {
                range.after = Some(after);
            }
            if let Some(to) = bound(at) {
                range.to = Some(to);
            }
        } else if !is_sound(file, pointer, shape) {
            continue;
        }
        next.push(Place {
            pointer,
            range,
            depth: place.depth + 1,
        });
    }
}

fn is_sound(file: &PageFile, pointer: Pointer, shape: Shape) -> bool {
    let Some(page) = file.page(pointer) else {
        return false;
    };
    Leaf::parse(&page, shape).is_some_and(|leaf| leaf.is(pointer))
        || Branch::parse(&page, shape).is_some_and(|branch| branch.is(pointer))
}

/// A table, as the tree names it that names all of them.
pub(crate) struct Named {
    pub definition: Definition,
    /// The page that names it is as it was written. Another may be an old one, which leads to the table
    /// as it once was.
    pub sound: bool,
}

/// The tables beneath a root, and how many parts of the tree that names them could not be read.
pub(crate) fn tables(file: &PageFile, root: Option<Pointer>) -> (BTreeMap<String, Named>, usize) {
    let mut tables = BTreeMap::new();
    let lost = walk(file, root, TABLES, Order::Bytes, &mut |pair| {
        let name = std::str::from_utf8(pair.key);
        let definition = Definition::parse(pair.value);
        if let (Ok(name), Some(definition)) = (name, definition) {
            let named = Named {
                definition,
                sound: pair.sound,
            };
            tables.entry(name.to_owned()).or_insert(named);
        }
    });
    (tables, lost.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ordered_keys_compare_as_numbers_do(a: (u32, u64), b: (u32, u64)) {
            let key = |(high, low): (u32, u64)| {
                [high.to_le_bytes().as_slice(), &low.to_le_bytes()].concat()
            };
            let order = Order::Numbers(&[4, 8]);
            prop_assert_eq!(order.of(&key(a)).cmp(&order.of(&key(b))), a.cmp(&b));
        }
    }

    #[test]
    fn a_lost_part_has_the_keys_after_its_first_up_to_its_last() {
        let lost = Lost {
            after: Some(vec![1]),
            to: Some(vec![3]),
        };
        let has: Vec<bool> = (0..5).map(|key| lost.has(&[key])).collect();
        assert_eq!(has, [false, false, true, true, false]);
        assert!(Lost::ALL.has(&[]));
    }
}
