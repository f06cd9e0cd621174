//! Reading files whole, and keeping copies.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::reload::disk::{self, Whole};
use crate::reload::keep::Keep;
use crate::reload::scan::Seen;

#[test]
fn a_file_is_read_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    assert!(matches!(disk::read(&path, 10), Whole::Moving));
    assert_eq!(disk::look(&path), (Seen::Missing, None));
    std::fs::write(&path, b"0123456789").unwrap();
    let Whole::Read { bytes, young, .. } = disk::read(&path, 10) else {
        panic!("not read")
    };
    assert_eq!((&*bytes, young), (&b"0123456789"[..], true));
    assert!(matches!(disk::read(&path, 9), Whole::TooLarge(10)));
    assert!(matches!(disk::read(folder.path(), 9), Whole::Failed(_)));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let hour = Duration::from_secs(3600);
    file.set_modified(SystemTime::now() - hour).unwrap();
    assert!(matches!(
        disk::read(&path, 10),
        Whole::Read { young: false, .. }
    ));
    assert!(disk::look(&path).1.unwrap() >= hour);
    // From the future: then nothing can be said about its age.
    file.set_modified(SystemTime::now() + hour).unwrap();
    assert!(matches!(
        disk::read(&path, 10),
        Whole::Read { young: true, .. }
    ));
    assert_eq!(disk::look(&path).1, None);
    let loop_of_links = folder.path().join("b.wasm");
    std::os::unix::fs::symlink("b.wasm", &loop_of_links).unwrap();
    assert_eq!(disk::look(&loop_of_links), (Seen::Odd, None));
}

#[test]
fn every_change_of_a_file_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    std::fs::write(&path, b"1").unwrap();
    let (first, _) = disk::look(&path);
    std::fs::write(folder.path().join("b"), b"1").unwrap();
    std::fs::rename(folder.path().join("b"), &path).unwrap();
    let (second, _) = disk::look(&path);
    assert_ne!(first, second);
    assert_eq!(disk::look(&path).0, second);
}

#[test]
fn copies_are_checked_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::new(folder.path().join("modules"));
    keep.retain(&BTreeSet::new()).unwrap();
    let (a, b) = (super::stage::hash(b"a"), super::stage::hash(b"b"));
    keep.put(&a, b"a").unwrap();
    keep.put(&b, b"b").unwrap();
    assert_eq!(keep.get(&a).unwrap(), b"a");
    std::fs::write(folder.path().join(format!("modules/{a}.wasm")), b"x").unwrap();
    assert!(keep.get(&a).is_err());
    keep.put(&a, b"a").unwrap();
    assert_eq!(keep.get(&a).unwrap(), b"a");
    std::fs::write(folder.path().join("modules/z.part"), b"x").unwrap();
    keep.retain(&[b.clone()].into()).unwrap();
    assert!(keep.get(&a).is_err() && keep.get(&b).is_ok());
    assert_eq!(
        std::fs::read_dir(folder.path().join("modules"))
            .unwrap()
            .count(),
        1
    );
}
