//! What processes have used, by what the kernel says of them: time of processors, memory, bytes written.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Pid;

/// In what the kernel counts time of processes, on every Linux there is.
const USER_HZ: u64 = 100;

/// What a process and all that it started have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    /// Bytes given to the disk, or to be given to it: whole pages.
    pub written: u64,
    /// The most that was resident at once, of each process by itself, together.
    pub peak_kib: u64,
    /// What is resident now.
    pub resident_kib: u64,
}

impl Usage {
    /// Of a process and its children, and theirs, that run now; time of those that have ended is in it.
    pub fn of(process: Pid) -> Result<Self> {
        let mut sum = Usage::default();
        let mut left = vec![process.as_raw_nonzero().get()];
        let mut first = true;
        while let Some(pid) = left.pop() {
            match Usage::of_one(pid) {
                Ok(one) => {
                    sum.cpu += one.cpu;
                    sum.written += one.written;
                    sum.peak_kib += one.peak_kib;
                    sum.resident_kib += one.resident_kib;
                }
                Err(error) if first => return Err(error),
                // It has ended meanwhile.
                Err(_) => {}
            }
            first = false;
            left.extend(children(pid));
        }
        Ok(sum)
    }

    fn of_one(pid: i32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name stands in parentheses and may have any characters.
        let (_, rest) = stat.rsplit_once(')').context("a process without a name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // utime, stime, and the same of children that have ended: fields 14 to 17 of all.
        let ticks: u64 = (11..15)
            .filter_map(|at| fields.get(at)?.parse::<u64>().ok())
            .sum();
        let line = |file: &str, name: &str| -> u64 {
            let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            let value = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            value.unwrap_or(0)
        };
        Ok(Usage {
            cpu: Duration::from_millis(ticks * 1000 / USER_HZ),
            written: line("io", "write_bytes:"),
            peak_kib: line("status", "VmHWM:"),
            resident_kib: line("status", "VmRSS:"),
        })
    }
}

fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let mut found = Vec::new();
    for list in lists {
        found.extend(
            list.split_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    found
}

/// Time of processors that this process has used.
pub fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Bytes that this process has given to the disk.
pub fn own_written() -> Result<u64> {
    // Without what it has started.
    Ok(Usage::of_one(rustix::process::getpid().as_raw_nonzero().get())?.written)
}

/// The load of the machine in the last minute, as the kernel counts it.
pub fn machine_load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let own = Usage::of(rustix::process::getpid()).unwrap();
        assert!(own.peak_kib > 100, "{own:?}");
        assert!(own_cpu() > Duration::ZERO);
        assert!(Usage::of(Pid::from_raw(i32::MAX).unwrap()).is_err());
    }
}
