//! The crate carries its own copy of the WIT, so that it builds outside of the repository.

use std::path::Path;

#[test]
fn the_copy_of_the_wit_is_the_wit() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = std::fs::read_to_string(here.join("wit/queue.wit")).unwrap();
    let original = std::fs::read_to_string(here.join("../../wit/queue.wit")).unwrap();
    assert!(
        copy == original,
        "sdk/rust/wit/queue.wit differs from wit/queue.wit: copy it again"
    );
}
