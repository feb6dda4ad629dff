//! What credential helpers print: the other half of [`Step::Credentials`](crate::Step::Credentials).
//!
//! The host runs `docker-credential-NAME get` (no shell, no path from a configuration), writes the URL to its standard
//! input without a line end, and gives what came out to [`read`]. Set a time limit, and take no more than
//! [`MAX_OUTPUT`] bytes.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::client::{Credentials, Found, HelperFailure};
use crate::secret::Secret;
use crate::time::Time;

/// The most that is read of a helper's output, in bytes: a hundred times the longest token seen.
pub const MAX_OUTPUT: usize = 1 << 20;

/// What helpers say when they do not know the registry, on standard output.
const NOT_FOUND: [&str; 3] =
    ["credentials not found in native keychain", "no credentials server URL", "no credentials username"];

/// The credentials that a helper printed; `None`: it knows none for this registry.
///
/// The user name `<token>` makes the secret a refresh token. Some helpers add until when it is valid, as `Expiry`,
/// `Expires`, `ExpiresAt` or `expiration`: seconds since 1970, or RFC 3339 in UTC (`2027-01-31T12:00:00Z`).
///
/// # Errors
/// Whatever is no credentials: with what the helper printed only where it failed and printed one short line of text.
pub fn read(success: bool, stdout: &Secret) -> Result<Option<Found>, HelperFailure> {
    let bytes = stdout.expose();
    if bytes.len() > MAX_OUTPUT {
        return Err(HelperFailure("it printed more than 1 MiB".into()));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|_| HelperFailure("it printed something that is not UTF-8".into()))?;
    let text = text.trim();
    if !success {
        if NOT_FOUND.contains(&text) {
            return Ok(None);
        }
        let short = text.lines().next().filter(|line| !line.is_empty() && line.len() <= 200 && !text.starts_with('{'));
        let clean = short.map(|line| line.chars().filter(|c| !c.is_control()).collect());
        return Err(HelperFailure(clean.unwrap_or_else(|| "it failed and did not say why".into())));
    }
    let flaw = || HelperFailure("it printed no JSON with Username and Secret".into());
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|_| flaw())?;
    let field = |name: &str| {
        let exact = fields.get(name);
        exact.or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)).copied()
    };
    let string = |name: &str| field(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let user = string("Username").unwrap_or_default();
    let secret = Secret::from(string("Secret").ok_or_else(flaw)?);
    if user.is_empty() && secret.is_empty() {
        return Ok(None);
    }
    let until = ["Expiry", "Expires", "ExpiresAt", "expiration"].into_iter().find_map(field);
    let valid_until = until.and_then(|raw| moment(raw.get()));
    let credentials = match user.as_str() {
        "<token>" => Credentials::Refresh(secret),
        "" => return Err(HelperFailure("it printed a secret without a user name".into())),
        _ => Credentials::Basic { user, password: secret },
    };
    Ok(Some(Found { credentials, valid_until }))
}

/// Whether a name from a configuration can be part of a program's name: no path, no option.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !name.starts_with(['-', '.'])
}

/// Seconds, a part of one cut off, or RFC 3339 in UTC.
fn moment(raw: &str) -> Option<Time> {
    let text: String = serde_json::from_str(raw).unwrap_or_else(|_| raw.into());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    if let (Ok(seconds), true) = (whole.parse::<u64>(), part.bytes().all(|b| b.is_ascii_digit())) {
        return Some(Time(seconds.checked_mul(1000)?));
    }
    let text = text.to_ascii_uppercase();
    let utc = ["Z", "+00:00", "-00:00"].into_iter().find_map(|zone| text.strip_suffix(zone))?;
    let (date, time) = utc.split_once('T')?;
    let numbers = |text: &str, by: char| -> Option<[u32; 3]> {
        let mut parts = text.split(by).map(|part| part.parse().ok());
        let found = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(found)
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split_once('.').map_or(time, |(whole, _)| whole), ':')?;
    let good = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !good || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Time::utc(year, month, day, (hour * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        assert_eq!(moment("1700000000"), Some(Time(1_700_000_000_000)));
        assert_eq!(moment("\"2023-11-14T22:13:20Z\""), Some(Time(1_700_000_000_000)));
        assert_eq!(moment("\"2024-02-29T00:00:00.123Z\""), Some(Time(1_709_164_800_000)));
        assert_eq!(moment("\"1970-01-01T00:00:00Z\""), Some(Time(0)));
        // As other languages write them.
        assert_eq!(moment("1700000000.75"), Some(Time(1_700_000_000_000)));
        assert_eq!(moment("\"1700000000\""), Some(Time(1_700_000_000_000)));
        assert_eq!(moment("\"2023-11-14T22:13:20.5+00:00\""), Some(Time(1_700_000_000_000)));
        assert_eq!(moment("\"2023-11-14t22:13:20z\""), Some(Time(1_700_000_000_000)));
        for bad in [
            "\"soon\"",
            "\"2023-11-14T22:13:20+01:00\"",
            "\"2023-13-01T00:00:00Z\"",
            "-1",
            "{}",
            "18446744073709551615",
            "1.7e9",
            "1.-1",
            "null",
        ] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_no_paths() {
        for (name, good) in
            [("osxkeychain", true), ("ecr-login", true), ("../x", false), ("a b", false), ("", false), ("-x", false)]
        {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
