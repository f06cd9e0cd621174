//! What a process has of the machine's memory, as the kernel says.

use crate::compare::report;

/// Of one process, in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Pages that are there. One that several mappings share counts for each of them.
    pub resident: u64,
    /// The same, with a page that is shared counted once.
    pub proportional: u64,
    /// Of them, those that no file is behind.
    pub anonymous: u64,
    /// Tables of pages, which are not among those above.
    pub tables: u64,
    /// How many mappings there are.
    pub mappings: u64,
}

impl Memory {
    pub fn of(process: &str) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
        let (status, rollup) = (read("status"), read("smaps_rollup"));
        Memory {
            resident: kib(&status, "VmRSS:") * 1024,
            proportional: kib(&rollup, "Pss:") * 1024,
            anonymous: kib(&rollup, "Anonymous:") * 1024,
            tables: kib(&status, "VmPTE:") * 1024,
            mappings: read("maps").lines().count() as u64,
        }
    }

    pub fn here() -> Self {
        Self::of("self")
    }
}

fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse().unwrap()
}

/// Says how much is resident now.
pub fn report_resident(when: &str) {
    let mib = Memory::here().resident as f64 / f64::from(1 << 20);
    report(&format!("resident {when}, MiB"), mib);
}
