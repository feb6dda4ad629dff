//! Token answers: what is accepted can be sent, lives as long as the rules say, is what another JSON reader finds too,
//! and is not shown.

use regauth::token::{NoGrant, read};
use serde_json::Value;

/// A byte for the method, two for the status, and the body.
pub fn run(data: &[u8]) {
    let Some(([method, high, low], body)) = data.split_first_chunk::<3>() else { return };
    let method = if method & 1 == 0 { "GET" } else { "POST" };
    let status = u16::from_be_bytes([*high, *low]) % 1000;
    let grant = match read(method, status, body) {
        Ok(grant) => grant,
        Err(NoGrant::Malformed(_)) => return assert!((200..300).contains(&status)),
        Err(error) => {
            assert!(!(200..300).contains(&status));
            return assert!(method == "POST" || error != NoGrant::Unsupported);
        }
    };
    assert!((200..300).contains(&status));
    assert!((1..=86_400).contains(&grant.life));
    let token = grant.token.expose();
    assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
    assert!(grant.refresh.as_ref().is_none_or(|refresh| !refresh.is_empty()));
    let shown = format!("{grant:?}");
    for secret in [Some(&grant.token), grant.refresh.as_ref()].into_iter().flatten() {
        assert!(secret.expose().len() < 20 || !crate::holds(shown.as_bytes(), secret.expose()), "{shown}");
    }
    // Deeper nesting than the other reader goes into is skipped by ours.
    let Ok(value) = serde_json::from_slice::<Value>(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)) else { return };
    let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty());
    let expected = text("access_token").or_else(|| text("token"));
    assert_eq!(expected.map(str::as_bytes), Some(token));
    assert_eq!(text("refresh_token").map(str::as_bytes), grant.refresh.as_ref().map(|refresh| refresh.expose()));
}
