//! What each fuzz target checks. A target is a function of bytes, so that a finding is replayed by a plain test.
//!
//! Text targets take their parts separated by the bytes 0x1e (record) and 0x1f (field), which no message needs.

pub mod challenge;
pub mod decide;
pub mod exchange;
pub mod flow;
pub mod http;
pub mod import;
pub mod origin;
pub mod readers;
pub mod reference;
pub mod request;
pub mod scope;
pub mod server_policy;
pub mod server_request;
pub mod server_token;
pub mod setup;
pub mod tls;
pub mod token;

/// Separates records.
pub const RECORD: u8 = 0x1e;
/// Separates the fields of a record.
pub const FIELD: u8 = 0x1f;

/// Whether `text` holds `part`, which is not empty.
pub fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
