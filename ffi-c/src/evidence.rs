//! What a TLS connection showed, in both directions.

use regauth::tls::{Evidence, Flaw, Shown, Version};

use crate::data::{Out, Struct, list, read, regauth_bytes, regauth_status, start};
use crate::guard::guard_free;
use crate::numbers::*;

/// The server did not ask for a client certificate.
pub const REGAUTH_SHOWN_NOT_ASKED: u32 = 0;
/// It asked, and none is configured.
pub const REGAUTH_SHOWN_NO_PAIR: u32 = 1;
/// It asked, and none fits; `lines` has one line for each, with the reason.
pub const REGAUTH_SHOWN_NONE_FITS: u32 = 2;
/// It asked and was shown one; `lines` are its label and the issuer of its leaf.
pub const REGAUTH_SHOWN_PAIR: u32 = 3;

/// TLS 1.2.
pub const REGAUTH_TLS_1_2: u32 = 1;
/// TLS 1.3.
pub const REGAUTH_TLS_1_3: u32 = 2;

/// The session was resumed, so that the server saw the certificate of its first handshake.
pub const REGAUTH_EVIDENCE_RESUMED: u32 = 1;
/// The handshake came to its end on this side.
pub const REGAUTH_EVIDENCE_FINISHED: u32 = 2;
/// Application data came from the server: only then the identity was accepted.
pub const REGAUTH_EVIDENCE_ACCEPTED: u32 = 4;
/// The server asked for a certificate after the handshake.
pub const REGAUTH_EVIDENCE_LATE: u32 = 8;

/// The certificate has expired.
pub const REGAUTH_FLAW_EXPIRED: u32 = 1;
/// The certificate is not valid yet.
pub const REGAUTH_FLAW_NOT_YET_VALID: u32 = 2;
/// The certificate's extended key usage does not allow clients.
pub const REGAUTH_FLAW_NOT_FOR_CLIENTS: u32 = 3;

/// What a TLS connection showed about client certificates. Given by a host with a TLS stack of its own: zero where it
/// cannot tell. Given by layer b: all bytes are lent by the connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_evidence {
    /// sizeof(regauth_evidence), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_TLS_1_2 or REGAUTH_TLS_1_3; 0 before the server's hello was read.
    pub version: u32,
    /// REGAUTH_SHOWN_*.
    pub shown: u32,
    /// REGAUTH_EVIDENCE_*, added up.
    pub flags: u32,
    /// The fatal alert that the server sent (RFC 8446 section 6); 0: none.
    pub alert: u32,
    /// Which identity of the profile was shown, the first being 1; 0: none.
    pub pair: u32,
    /// Which one to try after a rejection, the first being 1; 0: none.
    pub next: u32,
    /// REGAUTH_FLAW_*: what speaks against the certificate that was shown; 0: nothing.
    pub flaw: u32,
    /// Always 0.
    pub reserved: u32,
    /// EXPIRED: so many seconds ago. NOT_YET_VALID: in so many seconds it is.
    pub flaw_seconds: u64,
    /// The issuers that the server named, as text.
    pub hints: *const regauth_bytes,
    /// How many.
    pub hints_len: usize,
    /// As `shown` says.
    pub lines: *const regauth_bytes,
    /// How many.
    pub lines_len: usize,
    /// How the connection failed, in the words of the TLS stack.
    pub problem: regauth_bytes,
    /// What to do about that.
    pub remedy: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_evidence {}

fn text_of(bytes: &regauth_bytes) -> Result<String, regauth_status> {
    bytes.read_text().map(str::to_string)
}

/// The index that a number counted from 1 stands for.
fn index(number: u32) -> Option<usize> {
    number.checked_sub(1).and_then(|index| usize::try_from(index).ok())
}

/// What C gives; NULL is no evidence.
pub(crate) fn evidence(given: *const regauth_evidence) -> Result<Option<Evidence>, regauth_status> {
    if given.is_null() {
        return Ok(None);
    }
    let given = read(given)?;
    if given.flags >= REGAUTH_EVIDENCE_LATE << 1 {
        return Err(REGAUTH_INPUT);
    }
    let has = |flag| given.flags & flag != 0;
    let lines: Vec<String> = list(given.lines, given.lines_len)?.iter().map(text_of).collect::<Result<_, _>>()?;
    let mut evidence = Evidence::default();
    evidence.version = match given.version {
        0 => None,
        REGAUTH_TLS_1_2 => Some(Version::Tls12),
        REGAUTH_TLS_1_3 => Some(Version::Tls13),
        _ => return Err(REGAUTH_INPUT),
    };
    evidence.hints = list(given.hints, given.hints_len)?.iter().map(text_of).collect::<Result<_, _>>()?;
    evidence.shown = match (given.shown, lines.as_slice()) {
        (REGAUTH_SHOWN_NOT_ASKED, []) => Shown::NotAsked,
        (REGAUTH_SHOWN_NO_PAIR, []) => Shown::NoPair,
        (REGAUTH_SHOWN_NONE_FITS, _) => Shown::NoneFits(lines),
        (REGAUTH_SHOWN_PAIR, [label, issuer]) => Shown::Pair { label: label.clone(), issuer: issuer.clone() },
        _ => return Err(REGAUTH_INPUT),
    };
    evidence.resumed = has(REGAUTH_EVIDENCE_RESUMED);
    evidence.finished = has(REGAUTH_EVIDENCE_FINISHED);
    evidence.accepted = has(REGAUTH_EVIDENCE_ACCEPTED);
    evidence.late = has(REGAUTH_EVIDENCE_LATE);
    evidence.alert = match given.alert {
        0 => None,
        alert => Some(u8::try_from(alert).map_err(|_| REGAUTH_INPUT)?),
    };
    evidence.flaw = match given.flaw {
        0 => None,
        REGAUTH_FLAW_EXPIRED => Some(Flaw::Expired { ago: given.flaw_seconds }),
        REGAUTH_FLAW_NOT_YET_VALID => Some(Flaw::NotYetValid { ahead: given.flaw_seconds }),
        REGAUTH_FLAW_NOT_FOR_CLIENTS => Some(Flaw::NotForClients),
        _ => return Err(REGAUTH_INPUT),
    };
    if given.problem.len > 0 {
        evidence.problem = Some((text_of(&given.problem)?, text_of(&given.remedy)?));
    }
    (evidence.pair, evidence.next) = (index(given.pair), index(given.next));
    Ok(Some(evidence))
}

/// What a broken connection is to be reported as: `seen`, one of REGAUTH_FAILURE_*, unless the evidence says more about
/// it. For hosts with a TLS stack of their own, before they report a failure. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_evidence_failure(
    evidence: *const regauth_evidence,
    seen: u32,
    out: *mut u32,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        let evidence = self::evidence(evidence)?.ok_or(REGAUTH_NULL)?;
        out.put(from_failure(evidence.failure(failure(seen)?)));
        Ok(())
    })
}

/// Evidence in memory that can be lent.
#[derive(Default)]
pub(crate) struct Lent {
    hints: Vec<regauth_bytes>,
    lines: Vec<regauth_bytes>,
}

impl Lent {
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only layers b and c have evidence to give"))]
    pub(crate) fn tell(&mut self, evidence: &Evidence) -> regauth_evidence {
        let lend = |text: &String| regauth_bytes::lend(text.as_bytes());
        self.hints = evidence.hints.iter().map(lend).collect();
        let (shown, lines) = match &evidence.shown {
            Shown::NoPair => (REGAUTH_SHOWN_NO_PAIR, Vec::new()),
            Shown::NoneFits(lines) => (REGAUTH_SHOWN_NONE_FITS, lines.iter().map(lend).collect()),
            Shown::Pair { label, issuer } => (REGAUTH_SHOWN_PAIR, vec![lend(label), lend(issuer)]),
            _ => (REGAUTH_SHOWN_NOT_ASKED, Vec::new()),
        };
        self.lines = lines;
        let (flaw, flaw_seconds) = match evidence.flaw {
            Some(Flaw::Expired { ago }) => (REGAUTH_FLAW_EXPIRED, ago),
            Some(Flaw::NotYetValid { ahead }) => (REGAUTH_FLAW_NOT_YET_VALID, ahead),
            Some(Flaw::NotForClients) => (REGAUTH_FLAW_NOT_FOR_CLIENTS, 0),
            _ => (0, 0),
        };
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        regauth_evidence {
            struct_size: 0,
            version: version_number(evidence.version),
            shown,
            flags: flag(evidence.resumed, REGAUTH_EVIDENCE_RESUMED)
                | flag(evidence.finished, REGAUTH_EVIDENCE_FINISHED)
                | flag(evidence.accepted, REGAUTH_EVIDENCE_ACCEPTED)
                | flag(evidence.late, REGAUTH_EVIDENCE_LATE),
            alert: evidence.alert.map_or(0, u32::from),
            pair: number(evidence.pair),
            next: number(evidence.next),
            flaw,
            reserved: 0,
            flaw_seconds,
            hints: start(&self.hints),
            hints_len: self.hints.len(),
            lines: start(&self.lines),
            lines_len: self.lines.len(),
            problem: evidence.problem.as_ref().map_or(regauth_bytes::NONE, |(what, _)| lend(what)),
            remedy: evidence.problem.as_ref().map_or(regauth_bytes::NONE, |(_, what)| lend(what)),
        }
    }
}

fn version_number(version: Option<Version>) -> u32 {
    match version {
        Some(Version::Tls12) => REGAUTH_TLS_1_2,
        Some(Version::Tls13) => REGAUTH_TLS_1_3,
        _ => 0,
    }
}

/// An index counted from 1; 0 for none.
pub(crate) fn number(index: Option<usize>) -> u32 {
    index.and_then(|index| u32::try_from(index + 1).ok()).unwrap_or(0)
}

/// The evidence of a connection without TLS.
#[cfg(feature = "tls")]
pub(crate) fn nothing() -> regauth_evidence {
    regauth_evidence::zeroed()
}
