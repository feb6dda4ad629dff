//! Challenges.

use regauth::challenge;

use crate::data::{Out, Struct, list, regauth_bytes, regauth_header, regauth_status, start, write};
use crate::guard::{Exclusive, exclusive, free, give, guard, guard_free};
use crate::numbers::*;

/// The challenges of one answer, read. Exclusive: one thread at a time.
pub struct regauth_challenges(Exclusive<State>);
exclusive!(regauth_challenges, State, |_state, said| drop(said));

pub(crate) struct State {
    all: Vec<One>,
    flaws: usize,
    lent: Vec<regauth_header>,
}

/// A challenge that borrows nothing.
struct One {
    scheme: Vec<u8>,
    token68: Option<Vec<u8>>,
    params: Vec<(Vec<u8>, Vec<u8>)>,
}

/// One challenge. All bytes are lent by the challenges, until the next regauth_challenges_get.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_challenge {
    /// sizeof(regauth_challenge), set by the caller.
    pub struct_size: usize,
    /// The scheme as it was written; its case has no meaning.
    pub scheme: regauth_bytes,
    /// The token68; `ptr` is NULL where there is none.
    pub token68: regauth_bytes,
    /// The parameters in their order: names as they were written, values without quotes.
    pub params: *const regauth_header,
    /// How many.
    pub params_len: usize,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_challenge {}

/// Reads the WWW-Authenticate fields of one answer, given in their order; they are copied. `*flaws` is how many times they
/// break the grammar, and may be NULL. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_challenges_parse(
    fields: *const regauth_bytes,
    fields_len: usize,
    out: *mut *mut regauth_challenges,
    flaws: *mut usize,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        let fields: Vec<&[u8]> =
            list(fields, fields_len)?.iter().map(|field| field.read()).collect::<Result<_, _>>()?;
        let read = challenge::parse(fields);
        let one = |challenge: &challenge::Challenge<'_>| One {
            scheme: challenge.scheme().to_vec(),
            token68: challenge.token68().map(<[u8]>::to_vec),
            params: challenge.params().map(|param| (param.name().to_vec(), param.value().into_owned())).collect(),
        };
        let state = State { all: read.challenges.iter().map(one).collect(), flaws: read.flaws.len(), lent: Vec::new() };
        if let Ok(flaws) = Out::new(flaws) {
            flaws.put(state.flaws);
        }
        out.put(give(state));
        Ok(())
    })
}

/// A challenge by its index. Errors: NULL, INPUT, and NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_challenges_get(
    challenges: *mut regauth_challenges,
    index: usize,
    out: *mut regauth_challenge,
) -> regauth_status {
    guard(challenges, |state| {
        let one = state.all.get(index).ok_or(REGAUTH_NONE)?;
        let lend = |(name, value): &(Vec<u8>, Vec<u8>)| regauth_header {
            name: regauth_bytes::lend(name),
            value: regauth_bytes::lend(value),
        };
        state.lent = one.params.iter().map(lend).collect();
        let challenge = regauth_challenge {
            struct_size: 0,
            scheme: regauth_bytes::lend(&one.scheme),
            token68: one.token68.as_deref().map_or(regauth_bytes::NONE, regauth_bytes::lend),
            params: start(&state.lent),
            params_len: state.lent.len(),
        };
        Ok(write(out, &challenge)?)
    })
}

/// Frees challenges; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_challenges_free(challenges: *mut regauth_challenges) {
    free(challenges);
}
