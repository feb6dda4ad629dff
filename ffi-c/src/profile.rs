//! TLS profiles, for hosts with a TLS stack of their own and for layer b.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::tls::{Profile, Settings, Shown, Version};

use crate::config::{
    REGAUTH_HOST_FORCE, REGAUTH_HOST_SKIP_VERIFY, REGAUTH_HOST_TRY_PAIRS, REGAUTH_HOST_TRY_PAIRS_ON_STATUS, identities,
    roots, texts,
};
use crate::data::{Out, Space, Struct, list, read, regauth_bytes, regauth_status, write};
use crate::evidence::{
    REGAUTH_SHOWN_NO_PAIR, REGAUTH_SHOWN_NONE_FITS, REGAUTH_SHOWN_NOT_ASKED, REGAUTH_SHOWN_PAIR, REGAUTH_TLS_1_2,
    REGAUTH_TLS_1_3, number,
};
use crate::guard::{counted, guard_free, guard_quick, release, retain};
use crate::identity::regauth_identity;
use crate::numbers::*;

/// What a TLS connection is made with: roots, identities, options. Shared: counted, never changed, for any number of
/// threads at once.
pub struct regauth_profile(Profile, AtomicBool);
counted!(regauth_profile, Profile);

/// The settings of a profile, given by C for layer b without an agent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_settings {
    /// sizeof(regauth_settings), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_HOST_FORCE, _TRY_PAIRS, _TRY_PAIRS_ON_STATUS and _SKIP_VERIFY, added up.
    pub flags: u32,
    /// REGAUTH_ROOTS_*.
    pub roots: u32,
    /// PEM texts of certificate authorities, each with one or more.
    pub roots_pem: *const regauth_bytes,
    /// How many.
    pub roots_pem_len: usize,
    /// Client identities in the order in which they are tried.
    pub identities: *const *const regauth_identity,
    /// How many.
    pub identities_len: usize,
    /// ALPN protocol names; none: the extension is not sent.
    pub alpn: *const regauth_bytes,
    /// How many.
    pub alpn_len: usize,
    /// The oldest version: REGAUTH_TLS_*, or 0 for TLS 1.2.
    pub min_version: u32,
    /// The newest version: REGAUTH_TLS_*, or 0 for TLS 1.3.
    pub max_version: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_settings {}

/// What a profile holds, beside the lists that the functions by number give.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_profile_info {
    /// sizeof(regauth_profile_info), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_HOST_FORCE, _TRY_PAIRS, _TRY_PAIRS_ON_STATUS and _SKIP_VERIFY, added up.
    pub flags: u32,
    /// REGAUTH_ROOTS_WEBPKI, which stands for what the host trusts by itself, or REGAUTH_ROOTS_PEM.
    pub roots: u32,
    /// How many PEM texts of roots there are: regauth_profile_root.
    pub roots_pem_len: usize,
    /// How many identities there are: regauth_profile_identity.
    pub identities_len: usize,
    /// How many ALPN names there are: regauth_profile_alpn.
    pub alpn_len: usize,
    /// The oldest version: REGAUTH_TLS_*, or 0 where it is not set.
    pub min_version: u32,
    /// The newest version: REGAUTH_TLS_*, or 0 where it is not set.
    pub max_version: u32,
}

// SAFETY: numbers, the first is the size.
unsafe impl Struct for regauth_profile_info {}

/// Which identity to show to a server that asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_choice {
    /// sizeof(regauth_choice), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_SHOWN_*.
    pub shown: u32,
    /// The number of the identity to show, the first being 1; 0: none.
    pub pair: u32,
    /// The next one that would do, if the server rejects this one and REGAUTH_HOST_TRY_PAIRS is set; 0: none.
    pub next: u32,
    /// Always 0.
    pub reserved: u32,
}

// SAFETY: numbers, the first is the size.
unsafe impl Struct for regauth_choice {}

/// The flags of a host that are also those of a profile.
const FLAGS: u32 =
    REGAUTH_HOST_FORCE | REGAUTH_HOST_TRY_PAIRS | REGAUTH_HOST_TRY_PAIRS_ON_STATUS | REGAUTH_HOST_SKIP_VERIFY;

fn version(number: u32) -> Result<Option<Version>, regauth_status> {
    match number {
        0 => Ok(None),
        REGAUTH_TLS_1_2 => Ok(Some(Version::Tls12)),
        REGAUTH_TLS_1_3 => Ok(Some(Version::Tls13)),
        _ => Err(REGAUTH_INPUT),
    }
}

fn from_version(version: Option<Version>) -> u32 {
    match version {
        Some(Version::Tls12) => REGAUTH_TLS_1_2,
        Some(Version::Tls13) => REGAUTH_TLS_1_3,
        _ => 0,
    }
}

/// A profile with these settings, which are copied; identities are counted. Roots and identities are looked at when the
/// first connection is made. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_new(
    settings: *const regauth_settings,
    out: *mut *mut regauth_profile,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let (out, given) = (Out::new(out)?, read(settings)?);
        if given.flags & !FLAGS != 0 {
            return Err(REGAUTH_INPUT.into());
        }
        let mut settings = Settings::default();
        settings.roots = roots(given.roots, given.roots_pem, given.roots_pem_len)?.unwrap_or_default();
        settings.identities = identities(given.identities, given.identities_len)?;
        settings.force = given.flags & REGAUTH_HOST_FORCE != 0;
        settings.try_pairs = given.flags & REGAUTH_HOST_TRY_PAIRS != 0;
        settings.try_pairs_on_status = given.flags & REGAUTH_HOST_TRY_PAIRS_ON_STATUS != 0;
        settings.skip_verify = given.flags & REGAUTH_HOST_SKIP_VERIFY != 0;
        settings.alpn = texts(given.alpn, given.alpn_len)?;
        settings.min_version = version(given.min_version)?;
        settings.max_version = version(given.max_version)?;
        out.put(regauth_profile::new(Profile::new(settings)));
        Ok(())
    })
}

/// Says what a profile holds. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_get(
    profile: *const regauth_profile,
    out: *mut regauth_profile_info,
) -> regauth_status {
    guard_quick(profile, |profile| {
        let settings = profile.settings();
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let info = regauth_profile_info {
            struct_size: 0,
            flags: flag(settings.force, REGAUTH_HOST_FORCE)
                | flag(settings.try_pairs, REGAUTH_HOST_TRY_PAIRS)
                | flag(settings.try_pairs_on_status, REGAUTH_HOST_TRY_PAIRS_ON_STATUS)
                | flag(settings.skip_verify, REGAUTH_HOST_SKIP_VERIFY),
            roots: if settings.roots.webpki {
                crate::config::REGAUTH_ROOTS_WEBPKI
            } else {
                crate::config::REGAUTH_ROOTS_PEM
            },
            roots_pem_len: settings.roots.pem.len(),
            identities_len: settings.identities.len(),
            alpn_len: settings.alpn.len(),
            min_version: from_version(settings.min_version),
            max_version: from_version(settings.max_version),
        };
        Ok(write(out, &info)?)
    })
}

/// A PEM text of roots by its index, lent for as long as the profile is held. Any thread. Errors: NULL, and NONE for an
/// index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_root(
    profile: *const regauth_profile,
    index: usize,
    out: *mut regauth_bytes,
) -> regauth_status {
    guard_quick(profile, |profile| {
        let pem = profile.settings().roots.pem.get(index).ok_or(REGAUTH_NONE)?;
        Out::new(out)?.put(regauth_bytes::lend(pem));
        Ok(())
    })
}

/// An ALPN name by its index, lent for as long as the profile is held. Any thread. Errors: NULL, and NONE for an index
/// that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_alpn(
    profile: *const regauth_profile,
    index: usize,
    out: *mut regauth_bytes,
) -> regauth_status {
    guard_quick(profile, |profile| {
        let name = profile.settings().alpn.get(index).ok_or(REGAUTH_NONE)?;
        Out::new(out)?.put(regauth_bytes::lend(name));
        Ok(())
    })
}

/// An identity by its index: certificates and key for the host's TLS stack (regauth_identity_get). On REGAUTH_OK `*out`
/// is the caller's to free. Any thread. Errors: NULL, and NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_identity(
    profile: *const regauth_profile,
    index: usize,
    out: *mut *mut regauth_identity,
) -> regauth_status {
    guard_quick(profile, |profile| {
        let identity = profile.settings().identities.get(index).ok_or(REGAUTH_NONE)?;
        Out::new(out)?.put(regauth_identity::new(identity.clone()));
        Ok(())
    })
}

/// What to answer to a CertificateRequest, for hosts with a TLS stack of their own. Identities are taken in their order,
/// without the first `skip`: 0, or `next` - 1 of the last attempt. `hints` are the DER names of certificate_authorities,
/// `schemes` the SignatureScheme numbers of the request; in TLS 1.3 without those of PKCS#1, which sign certificates only.
///
/// `buf` gets one line for each identity that does not fit, with the reason, or the label of the one that does; it may be
/// NULL with `cap` and `len` 0 and NULL. Any thread. Errors: NULL, INPUT, SPACE (the choice is written all the same).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_choose(
    profile: *const regauth_profile,
    skip: usize,
    hints: *const regauth_bytes,
    hints_len: usize,
    schemes: *const u16,
    schemes_len: usize,
    out: *mut regauth_choice,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard_quick(profile, |profile| {
        let hints: Vec<&[u8]> = list(hints, hints_len)?.iter().map(|hint| hint.read()).collect::<Result<_, _>>()?;
        let choice = profile.choose(skip, &hints, list(schemes, schemes_len)?);
        let (shown, text) = match &choice.shown {
            Shown::NoPair => (REGAUTH_SHOWN_NO_PAIR, String::new()),
            Shown::NoneFits(lines) => (REGAUTH_SHOWN_NONE_FITS, lines.join("\n")),
            Shown::Pair { label, .. } => (REGAUTH_SHOWN_PAIR, label.clone()),
            _ => (REGAUTH_SHOWN_NOT_ASKED, String::new()),
        };
        let (pair, next) = (number(choice.pair), number(choice.next));
        write(out, &regauth_choice { struct_size: 0, shown, pair, next, reserved: 0 })?;
        if len.is_null() && cap == 0 {
            return Ok(());
        }
        Ok(Space::new(buf, cap, len)?.put(text.as_bytes())?)
    })
}

/// Counts one more holder and gives the same profile. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_retain(profile: *mut regauth_profile) -> *mut regauth_profile {
    retain(profile)
}

/// Gives up one count; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_free(profile: *mut regauth_profile) {
    release(profile);
}
