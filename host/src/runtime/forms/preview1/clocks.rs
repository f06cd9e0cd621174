//! The clocks of a program, and its waiting: for a time, since its streams are always ready.

use std::time::{Duration, SystemTime};

use wasmtime::{Caller, Linker};

use super::memory::Guest;
use super::{Done, FAULT, INVALID, MAX_BUFFERS, MODULE, with};
use crate::runtime::instance::Sandbox;

/// What a clock shows, in nanoseconds: the time of day, or since the delivery began.
fn shown(clock: u32, sandbox: &Sandbox) -> Done<u64> {
    let time = match clock {
        0 => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
        1 => sandbox.clock.wall(),
        _ => return Err(INVALID),
    };
    u64::try_from(time.as_nanos()).map_err(|_| INVALID)
}

/// Links what shows the time, and what waits.
pub(super) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_res_get",
        |mut c: Caller<'_, Sandbox>, clock: u32, at: u32| {
            with(&mut c, |guest, sandbox| {
                shown(clock, sandbox)?;
                guest.put(at, &1_u64.to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut c: Caller<'_, Sandbox>, clock: u32, _precision: u64, at: u32| {
            with(&mut c, |guest, sandbox| {
                let time = shown(clock, sandbox)?;
                guest.put(at, &time.to_le_bytes())
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut c: Caller<'_, Sandbox>, (waits, events, count, happened): (u32, u32, u32, u32)| {
            Box::new(async move {
                let mut pause = Duration::ZERO;
                let code = with(&mut c, |guest, sandbox| {
                    pause = earliest(guest, sandbox, waits, count)?;
                    Ok(())
                })?;
                if code != 0 {
                    return Ok(code);
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                with(&mut c, |guest, sandbox| {
                    let number = report(guest, sandbox, [waits, events, count], pause)?;
                    guest.put_u32(happened, number)
                })
            })
        },
    )?;
    Ok(())
}

/// Bytes of what a program waits for, and of what happened.
const WAIT: u32 = 48;
const EVENT: u32 = 32;
/// A clock, among what can be waited for; the others are the streams, which are always ready.
const CLOCK: u8 = 0;

/// How long until the first of them happens.
fn earliest(guest: &mut Guest<'_>, sandbox: &Sandbox, waits: u32, count: u32) -> Done<Duration> {
    if count == 0 || count > MAX_BUFFERS {
        return Err(INVALID);
    }
    let mut earliest = Duration::MAX;
    for number in 0..count {
        let wait = waits.checked_add(number * WAIT).ok_or(FAULT)?;
        earliest = earliest.min(left(guest, sandbox, wait)?);
    }
    Ok(earliest)
}

/// How long until what stands at this address happens.
fn left(guest: &mut Guest<'_>, sandbox: &Sandbox, wait: u32) -> Done<Duration> {
    guest.slice(wait, WAIT)?;
    if guest.slice(wait + 8, 1)?[0] != CLOCK {
        return Ok(Duration::ZERO);
    }
    let (clock, timeout) = (guest.u32(wait + 16)?, guest.u64(wait + 24)?);
    let is_a_time = guest.slice(wait + 40, 1)?[0] & 1 == 1;
    let now = shown(clock, sandbox)?;
    Ok(Duration::from_nanos(match is_a_time {
        true => timeout.saturating_sub(now),
        false => timeout,
    }))
}

/// Writes down what happened after a pause, and gives how many that are.
fn report(
    guest: &mut Guest<'_>,
    sandbox: &Sandbox,
    [waits, events, count]: [u32; 3],
    pause: Duration,
) -> Done<usize> {
    let mut happened = 0;
    for number in 0..count {
        let wait = waits + number * WAIT;
        let kind = guest.slice(wait + 8, 1)?[0];
        let is_a_time = guest.slice(wait + 40, 1)?[0] & 1 == 1;
        let left = left(guest, sandbox, wait)?;
        let over = match kind == CLOCK && !is_a_time {
            true => left <= pause,
            false => left.is_zero(),
        };
        // Of times that are close together, the first is enough.
        if over || (kind == CLOCK && happened == 0 && number + 1 == count) {
            let mut event = [0; EVENT as usize];
            event[..8].copy_from_slice(&guest.u64(wait)?.to_le_bytes());
            event[10] = kind;
            let at = events.checked_add(happened * EVENT).ok_or(FAULT)?;
            guest.put(at, &event)?;
            happened += 1;
        }
    }
    Ok(happened as usize)
}
