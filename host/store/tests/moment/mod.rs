//! The files of a store that is open, as they are at one moment.

use std::fs;
use std::path::Path;

/// Copies files as a kill would leave them. A checkpoint may be under way, and of what is written while a file
/// is read, the copy would have a part that no moment had: so they are read until nothing changed meanwhile.
pub fn copy(from: &Path, to: &Path, files: &[&str]) {
    let read = || -> Vec<Vec<u8>> {
        let content = files.iter().map(|file| fs::read(from.join(file)).unwrap());
        content.collect()
    };
    let mut found = read();
    loop {
        let again = read();
        if again == found {
            break;
        }
        found = again;
    }
    for (file, content) in files.iter().zip(found) {
        fs::write(to.join(file), content).unwrap();
    }
}
