//! What all workers share: who sends a request of the plugin's own, and what the answer was.
//!
//! The proxy's shared data know no deletion and, for a key that is not there, no compare-and-swap. So there is a fixed
//! number of keys, made before there are workers, and names that clients choose are inside of the values.

use regauth::Time;

use crate::abi::{self, Fields, Status};

/// How many requests are remembered at one time.
pub(crate) const SLOTS: usize = 512;
/// How many of them are for registries' challenges: they have slots of their own, so that none drives out the token that
/// is fetched because of it.
const CHALLENGES: usize = 64;
/// Longer answers are not shared, in bytes: each of the slots keeps one for as long as the proxy runs.
const MAX_SHARED: usize = 64 * 1024;

/// An answer to a request of the plugin's own.
#[derive(Debug)]
pub(crate) struct Answer {
    /// When it came.
    pub(crate) at: Time,
    /// 0: there was none; then `fields` is empty and `body` one byte that says why.
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

/// What is in a slot.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Nobody's: empty, or of another request that is over.
    Free,
    /// Of another request that is under way.
    Taken,
    /// A worker has sent this request and has time left for it.
    Flying,
    /// This is the answer.
    Answered(Answer),
}

fn name(slot: usize) -> [u8; 10] {
    let mut name = *b"regauth.  ";
    let digits = u16::try_from(slot).unwrap_or(0).to_le_bytes();
    for (place, digit) in name.iter_mut().skip(8).zip(digits) {
        *place = digit;
    }
    name
}

/// Makes the slots that are not there. It runs in the main thread before there are workers, so that nothing is lost.
pub(crate) fn prepare() {
    for slot in 0..SLOTS {
        if abi::shared(&name(slot)).is_err() {
            // A host without shared data: each worker is for itself.
            _ = abi::share(&name(slot), &[], 0);
        }
    }
}

/// FNV-1a: nothing hangs on collisions, as keys are compared whole.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The slot of a request.
pub(crate) fn place(key: &[u8], is_token: bool) -> usize {
    let hash = hash(key);
    let (first, count) = if is_token { (CHALLENGES, SLOTS - CHALLENGES) } else { (0, CHALLENGES) };
    first + usize::try_from((hash >> 32 ^ hash) % count as u64).unwrap_or(0)
}

/// What is in the slot for this request, and the version of it.
pub(crate) fn read(slot: usize, key: &[u8], now: Time) -> abi::Result<(Slot, u32)> {
    let (value, cas) = abi::shared(&name(slot))?;
    Ok((decode(&value, key, now).unwrap_or(Slot::Free), cas))
}

/// Takes the duty until `until`, if nothing was written since version `cas`. `Ok(false)`: something was.
pub(crate) fn take(slot: usize, key: &[u8], until: Time, cas: u32) -> abi::Result<bool> {
    let value = encode(b'F', key, until, &[]);
    match abi::share(&name(slot), &value, cas) {
        Ok(()) => Ok(true),
        Err(Status::CAS_MISMATCH) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Writes the answer for all workers, and gives its version. One that is too long frees the slot.
pub(crate) fn answer(slot: usize, key: &[u8], answer: &Answer) -> u32 {
    let fields = answer.fields.as_bytes();
    let mut rest = answer.status.to_le_bytes().to_vec();
    rest.extend_from_slice(&u32::try_from(fields.len()).unwrap_or(0).to_le_bytes());
    rest.extend_from_slice(fields);
    rest.extend_from_slice(&answer.body);
    let value = if rest.len() > MAX_SHARED { Vec::new() } else { encode(b'A', key, answer.at, &rest) };
    _ = abi::share(&name(slot), &value, 0);
    abi::shared(&name(slot)).map_or(0, |(_, cas)| cas)
}

/// Kind, time, size of the key, key, the rest.
fn encode(kind: u8, key: &[u8], time: Time, rest: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(13 + key.len() + rest.len());
    value.push(kind);
    value.extend_from_slice(&time.0.to_le_bytes());
    value.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
    value.extend_from_slice(key);
    value.extend_from_slice(rest);
    value
}

fn decode(value: &[u8], key: &[u8], now: Time) -> Option<Slot> {
    let (kind, value) = value.split_first()?;
    let (time, value) = value.split_first_chunk()?;
    let (size, value) = value.split_first_chunk()?;
    let time = Time(u64::from_le_bytes(*time));
    let (name, value) = value.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
    match (kind, name == key) {
        // A clock that jumped back lends nobody the duty for longer than a minute.
        (b'F', _) if now >= time || time.since(now) > 70_000 => Some(Slot::Free),
        (b'F', true) => Some(Slot::Flying),
        (b'F', false) => Some(Slot::Taken),
        (b'A', true) => {
            let (status, value) = value.split_first_chunk()?;
            let (size, value) = value.split_first_chunk()?;
            let (fields, body) = value.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
            let (fields, body) = (fields.to_vec().into(), body.to_vec());
            Some(Slot::Answered(Answer { at: time, status: u16::from_le_bytes(*status), fields, body }))
        }
        _ => Some(Slot::Free),
    }
}
