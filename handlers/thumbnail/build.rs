//! Gives this handler a stack of its own size.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The JPEG decoder keeps its tables on the stack: more than the 64 KiB that handlers get, and trips over the end at the first picture.
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=262144");
    }
}
