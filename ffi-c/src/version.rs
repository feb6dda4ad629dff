//! What a program can find out about the library that it runs with.

use std::ffi::c_char;

use crate::data::regauth_status;
use crate::numbers::*;

/// The number of this ABI, also in the soname. Additions keep it, changes raise it.
pub const REGAUTH_ABI: u32 = 1;

/// The ABI of the library that is linked, to be compared with REGAUTH_ABI. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn regauth_abi() -> u32 {
    REGAUTH_ABI
}

/// The version of the library, such as "0.1.0", for people. Static, ends with a zero byte. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn regauth_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The name of a status, such as "misuse", for people; "unknown" for any other number. Static, ends with a zero byte.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn regauth_status_name(status: regauth_status) -> *const c_char {
    let name = match status {
        REGAUTH_OK => c"ok",
        REGAUTH_NULL => c"null",
        REGAUTH_MISUSE => c"misuse",
        REGAUTH_PANIC => c"panic",
        REGAUTH_INPUT => c"input",
        REGAUTH_FAILED => c"failed",
        REGAUTH_SPACE => c"space",
        REGAUTH_NONE => c"none",
        _ => c"unknown",
    };
    name.as_ptr()
}

/// The name of a hop: "registry", "token", "redirect", "upload", "layer" or "token-redirect"; "unknown" for any other
/// number. Static, ends with a zero byte. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn regauth_hop_name(hop: u32) -> *const c_char {
    let name = match hop {
        REGAUTH_HOP_REGISTRY => c"registry",
        REGAUTH_HOP_TOKEN => c"token",
        REGAUTH_HOP_REDIRECT => c"redirect",
        REGAUTH_HOP_UPLOAD => c"upload",
        REGAUTH_HOP_LAYER => c"layer",
        REGAUTH_HOP_TOKEN_REDIRECT => c"token-redirect",
        _ => c"unknown",
    };
    name.as_ptr()
}

/// The name of a fault: "local", "registry", "token-service", "network" or "policy"; "unknown" for any other number.
/// Static, ends with a zero byte. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn regauth_fault_name(fault: u32) -> *const c_char {
    let name = match fault {
        REGAUTH_FAULT_LOCAL => c"local",
        REGAUTH_FAULT_REGISTRY => c"registry",
        REGAUTH_FAULT_TOKEN_SERVICE => c"token-service",
        REGAUTH_FAULT_NETWORK => c"network",
        REGAUTH_FAULT_POLICY => c"policy",
        _ => c"unknown",
    };
    name.as_ptr()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    #[test]
    fn names_are_those_of_the_core() {
        // SAFETY: a static text that ends with a zero byte.
        let text = |name| unsafe { CStr::from_ptr(name) }.to_str().unwrap();
        for hop in [
            regauth::Hop::Registry,
            regauth::Hop::Token,
            regauth::Hop::Redirect,
            regauth::Hop::Upload,
            regauth::Hop::Layer,
            regauth::Hop::TokenRedirect,
        ] {
            assert_eq!(text(super::regauth_hop_name(crate::numbers::from_hop(hop))), hop.as_str());
        }
        for fault in [
            regauth::Fault::Local,
            regauth::Fault::Registry,
            regauth::Fault::TokenService,
            regauth::Fault::Network,
            regauth::Fault::Policy,
        ] {
            assert_eq!(text(super::regauth_fault_name(crate::numbers::from_fault(fault))), fault.as_str());
        }
    }
}
