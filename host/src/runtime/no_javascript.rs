//! What stands in the place of `javascript` in a host that was built without it.

use super::compile::CompileError;
use super::head_start::HeadStart;

pub(super) const INIT: &str = "init";

pub(super) fn made_with() -> [u8; 32] {
    [0; 32]
}

pub(super) fn engine_hash() -> [u8; 32] {
    [0; 32]
}

pub(super) fn component(
    file: &str,
    _program: &[u8],
    _head: &mut HeadStart,
) -> Result<Vec<u8>, CompileError> {
    Err(CompileError::Script(format!(
        "{file} is JavaScript, and this host was built without it: build the host with its feature \
         `javascript`, or make a component of the file"
    )))
}

pub(super) fn keep_used(_imports: &mut Vec<String>, _program: &[u8]) {}

pub(super) fn takes_batches(_program: &[u8]) -> bool {
    false
}
