//! Tests of the reload room: the scan in virtual time, and all of it with real files and guests.

mod config;
mod folder;
mod scan;
mod stage;
mod swaps;
mod versions;
mod world;
