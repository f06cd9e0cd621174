//! How modules are made, for `gristmill dev`: what is taken, and what is said about the rest.

use std::path::PathBuf;

use super::{good, told};
use crate::config::diff;

#[test]
fn a_build_stands_beside_the_handler_and_is_said_once() {
    let config = good(
        r#"[queue.a]
handler = "shop.wasm"
build = "make shop"
[queue.b]
handler = "shop.wasm"
[queue.c]
handler = "mail.wasm"
build = "make mail"
watch = ["mail", "/shared/lib.c"]
[queue.d]
handler = "mail.wasm"
build = "make mail"
watch = ["mail", "/shared/lib.c"]
"#,
    );
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    let (shop, mail) = (&config.builds["shop"], &config.builds["mail"]);
    assert_eq!(config.builds.len(), 2);
    assert_eq!(
        (shop.command.as_str(), &shop.watch),
        ("make shop", &paths(&["etc/src"]))
    );
    assert_eq!(mail.watch, paths(&["etc/mail", "/shared/lib.c"]));
}

#[test]
fn the_host_does_not_mind_how_a_module_is_made() {
    let before = good("[queue.a]\nhandler = \"a.wasm\"\n");
    let after = good("[queue.a]\nhandler = \"a.wasm\"\nbuild = \"make\"\n");
    assert!(before != after && diff(&before, &after).is_empty());
}

#[test]
fn builds_that_cannot_be_are_told_with_the_cure() {
    told(
        r##"[queue.a]
build = "make"
[queue.b]
handler = "b.wasm"
watch = ["src"]
[queue.c]
handler = "b.wasm"
build = "make b"
[queue.d]
handler = "b.wasm"
build = "make d"
[queue.e]
handler = "e.wasm"
build = " "
[queue.f]
handler = "f.wasm"
build = "make"
watch = [""]
"##,
        r##"error: `queue.a.build` does nothing without `handler`
 --> etc/gristmill.toml:2:9
  |
2 | build = "make"
  |         ^^^^^^
  |
  = help: write handler = "orders.wasm", or remove this

error: `queue.b.watch` does nothing without `build`
 --> etc/gristmill.toml:5:9
  |
5 | watch = ["src"]
  |         ^^^^^^^
  |
  = help: write build = "cargo wasm", or remove this

error: `queue.d.build`: [queue.c] has the same handler and builds it in another way
  --> etc/gristmill.toml:11:9
   |
11 | build = "make d"
   |         ^^^^^^^^
   |
   = help: say it once, in either of them

error: `queue.e.build` is empty
  --> etc/gristmill.toml:14:9
   |
14 | build = " "
   |         ^^^
   |
   = help: write the command that makes the module, or remove this

error: `queue.f.watch`: "" is not a path
  --> etc/gristmill.toml:18:10
   |
18 | watch = [""]
   |          ^^
   |
   = help: name files and folders, such as "src""##,
    );
}
