//! Large bodies: written, read, damaged, shared, given up.

use gristmill_queue::{BlobReader as _, BlobUnavailable};

use super::*;
use gristmill_queue::QueuePolicy;

fn folder() -> (tempfile::TempDir, Arc<Blobs>, QueueName) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(Blobs::open(folder.path(), 3, 10, None).unwrap());
    let name = QueueName::new("q").unwrap();
    let policy = QueuePolicy {
        max_body: 300_000,
        ..QueuePolicy::default()
    };
    blobs.declare(
        &[Declaration {
            name: name.clone(),
            policy,
        }],
        &[],
    );
    (folder, blobs, name)
}

fn files(blobs: &Blobs) -> usize {
    std::fs::read_dir(&blobs.folder).unwrap().count()
}

fn body(size: usize) -> Bytes {
    (0..size).map(|n| (n * 31 % 251) as u8).collect()
}

#[test]
fn any_part_of_a_body_reads_back_however_it_was_written() {
    let (_folder, blobs, queue) = folder();
    for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 200_001] {
        let body = body(size);
        let mut writer = BlobWriter::new(&blobs, &queue).unwrap();
        for part in body.chunks(7919) {
            writer.write(part).unwrap();
        }
        let staged = writer.finish().unwrap();
        let blob = Blob::open(&blobs, staged.blob()).unwrap();
        assert_eq!(blob.whole().unwrap(), body);
        assert_eq!(staged.blob().checksum, checksum(&body));
        for offset in [0, 1, size / 2, PIECE - 1, PIECE, size] {
            let mut into = vec![0; PIECE + 7];
            let read = blob.read_at(offset as u64, &mut into).unwrap();
            let rest = body.get(offset..).unwrap_or_default();
            assert_eq!(into[..read], rest[..rest.len().min(PIECE + 7)]);
        }
    }
    assert_eq!(files(&blobs), 0, "what was not sent is gone");
}

#[test]
fn damage_anywhere_in_the_file_is_found_and_so_is_anothers_file() {
    let (_folder, blobs, queue) = folder();
    let staged = BlobWriter::store(&blobs, &queue, &body(PIECE + 100)).unwrap();
    let blob = staged.blob();
    let path = blobs.path(blob.name);
    let sound = std::fs::read(&path).unwrap();
    for at in [0, 77, PIECE, PIECE + 99, PIECE + 100, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let read = Blob::open(&blobs, blob).and_then(|blob| blob.whole());
        assert_eq!(read, Err(BlobUnavailable::Damaged(blob.name)), "byte {at}");
    }
    std::fs::write(&path, &sound[..sound.len() - 1]).unwrap();
    assert!(!blobs.is_whole(&blob));
    assert!(Blob::open(&blobs, blob).is_err());
    let other = BlobWriter::store(&blobs, &queue, &Bytes::from(vec![1; PIECE + 100])).unwrap();
    std::fs::copy(blobs.path(other.blob().name), &path).unwrap();
    assert!(Blob::open(&blobs, blob).is_err(), "in another's place");
    std::fs::remove_file(&path).unwrap();
    assert!(Blob::open(&blobs, blob).is_err(), "not there");
    drop(other);
    staged.keep();
}

#[test]
fn what_is_refused_or_given_up_leaves_no_file() {
    let (_folder, blobs, queue) = folder();
    let mut writer = BlobWriter::new(&blobs, &queue).unwrap();
    writer.write(&body(300_000)).unwrap();
    let refused = writer.write(b"x");
    assert!(matches!(refused, Err(SendError::Invalid { .. })));
    drop(writer);
    assert_eq!(files(&blobs), 0);
    let nobody = QueueName::new("nobody").unwrap();
    let unknown = BlobWriter::new(&blobs, &nobody).err();
    assert_eq!(unknown, Some(SendError::UnknownQueue(nobody)));
    let mut writer = BlobWriter::new(&blobs, &queue).unwrap();
    writer.write(&body(PIECE)).unwrap();
    assert_eq!(files(&blobs), 1);
    drop(writer);
    assert_eq!(files(&blobs), 0);
}

#[test]
fn a_shared_body_outlives_the_other() {
    let (_folder, blobs, queue) = folder();
    let first = BlobWriter::store(&blobs, &queue, &body(1000)).unwrap();
    let second = first.share().unwrap();
    assert_ne!(first.blob().name, second.blob().name);
    drop(first);
    let whole = Blob::open(&blobs, second.blob()).unwrap().whole();
    assert_eq!(whole, Ok(body(1000)));
}

#[test]
fn the_folder_and_its_files_are_private() {
    let (_folder, blobs, queue) = folder();
    let staged = BlobWriter::store(&blobs, &queue, &body(1000)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&blobs.folder), 0o700);
    assert_eq!(mode(&blobs.path(staged.blob().name)), 0o600);
}
