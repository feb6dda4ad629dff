//! The token request (GET with Basic, POST form) and its answer.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::members::{Members, error};
use crate::origin::Url;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::time::Time;

/// The longest token answer that is read, in bytes; clients of registries cap it between 64 KiB and 1 MiB.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// Seconds that a token lives when its answer does not say (distribution's token specification).
const DEFAULT_LIFE: u64 = 60;
/// No life is believed beyond a day, in seconds.
const MAX_LIFE: u64 = 86_400;

/// What a POST proves itself with.
#[derive(Debug)]
pub(crate) enum Proof<'a> {
    Password { user: &'a str, password: &'a Secret },
    Refresh(&'a Secret),
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) realm: &'a Url,
    pub(crate) service: &'a [u8],
    pub(crate) scopes: &'a [Scope],
    pub(crate) offline: bool,
}

impl Wanted<'_> {
    /// The URL of a GET: the realm with its own query kept, one `scope` for each scope.
    pub(crate) fn get(&self) -> Url {
        let mut query = String::new();
        let mut add = |name: &str, value: &[u8]| {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(name);
            query.push('=');
            encode(value, &mut |byte| query.push(char::from(byte)));
        };
        if !self.service.is_empty() {
            add("service", self.service);
        }
        for scope in self.scopes {
            add("scope", scope.as_str().as_bytes());
        }
        if self.offline {
            add("offline_token", b"true");
        }
        self.realm.with_query(&query)
    }

    /// The form of a POST (RFC 6749 section 4.3.2 and 6): one `scope`, space-joined. Never in a buffer that grows, so
    /// that no copy of the secret is left behind.
    pub(crate) fn form(&self, proof: &Proof<'_>) -> Secret {
        let scopes = self.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
        let mut fields: Vec<(&str, &[u8])> = vec![("client_id", b"regauth")];
        match proof {
            Proof::Password { user, password } => {
                fields.extend([("grant_type", &b"password"[..]), ("username", user.as_bytes())]);
                fields.push(("password", password.expose()));
            }
            Proof::Refresh(token) => {
                fields.extend([("grant_type", &b"refresh_token"[..]), ("refresh_token", token.expose())]);
            }
        }
        if !self.service.is_empty() {
            fields.push(("service", self.service));
        }
        if !scopes.is_empty() {
            fields.push(("scope", scopes.as_bytes()));
        }
        if self.offline {
            fields.push(("access_type", b"offline"));
        }
        let length = fields.iter().map(|(name, value)| name.len() + 2 + 3 * value.len()).sum();
        let mut form = Zeroizing::new(Vec::with_capacity(length));
        for (name, value) in fields {
            if !form.is_empty() {
                form.push(b'&');
            }
            form.extend_from_slice(name.as_bytes());
            form.push(b'=');
            encode(value, &mut |byte| form.push(byte));
        }
        Secret::from(form)
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
fn encode(bytes: &[u8], push: &mut dyn FnMut(u8)) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            push(*byte);
        } else {
            push(b'%');
            for digit in [byte >> 4, byte & 15] {
                push(HEX.get(usize::from(digit)).copied().unwrap_or(b'0'));
            }
        }
    }
}

/// A token, for as long as it may be used.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The token: visible ASCII, opaque.
    pub token: Secret,
    /// Seconds of use, counted from the receipt of the answer.
    pub life: u64,
    /// A refresh token to be stored in the place of the one that was used.
    pub refresh: Option<Secret>,
}

/// Why an answer holds no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoGrant {
    /// The POST was not understood: try the other way.
    Unsupported,
    /// The server refused, with the OAuth error code where it is a known one.
    Refused(Option<&'static str>),
    /// A success that holds no usable token.
    Malformed(&'static str),
}

/// A [`Grant`] that is not copied yet.
pub(crate) struct Lent<'a> {
    pub(crate) token: Cow<'a, [u8]>,
    pub(crate) life: u64,
    pub(crate) refresh: Option<Cow<'a, [u8]>>,
}

/// Reads the answer to a token request of this method. The status decides; labels of type and coding are not looked at.
pub fn read(method: &str, status: u16, body: &[u8]) -> Result<Grant, NoGrant> {
    lend(method, status, body).map(|lent| Grant {
        token: Secret::from(&*lent.token),
        life: lent.life,
        refresh: lent.refresh.map(|token| Secret::from(&*token)),
    })
}

pub(crate) fn lend<'a>(method: &str, status: u16, body: &'a [u8]) -> Result<Lent<'a>, NoGrant> {
    if (200..300).contains(&status) {
        return grant(body).map_err(NoGrant::Malformed);
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let code = error(body.get(..MAX_ANSWER.min(body.len())).unwrap_or_default()).and_then(|code| {
        const KNOWN: [&str; 8] = [
            "access_denied",
            "invalid_client",
            "invalid_grant",
            "invalid_request",
            "invalid_scope",
            "temporarily_unavailable",
            "unauthorized_client",
            "unsupported_grant_type",
        ];
        KNOWN.into_iter().find(|known| known.as_bytes() == &*code)
    });
    let unsupported = method == "POST"
        && match status {
            401 | 404 | 405 | 501 => true,
            400 => {
                matches!(code, Some("unsupported_grant_type" | "invalid_request"))
                    || serde_json::from_slice::<&RawValue>(body).is_err()
            }
            _ => false,
        };
    Err(if unsupported { NoGrant::Unsupported } else { NoGrant::Refused(code) })
}

fn grant(body: &[u8]) -> Result<Lent<'_>, &'static str> {
    if body.len() > MAX_ANSWER {
        return Err("it is longer than 1 MiB");
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let answer = Members::read(body).ok_or("it is not one JSON object, or names a member twice")?;
    let token =
        full(answer.access_token).or_else(|| full(answer.token)).ok_or("neither token nor access_token is there")?;
    // All bytes are looked at, whatever they are: then many are looked at in one step.
    if token.iter().fold(false, |bad, byte| bad | !byte.is_ascii_graphic()) {
        return Err("the token holds characters that cannot be sent");
    }
    Ok(Lent {
        token,
        life: answer.expires_in.map_or(DEFAULT_LIFE, |text| life(&text)),
        refresh: full(answer.refresh_token),
    })
}

fn full(text: Option<Cow<'_, [u8]>>) -> Option<Cow<'_, [u8]>> {
    text.filter(|text| !text.is_empty())
}

/// The life in whole seconds: a number or a numeric string; what cannot be read, zero and less is the default.
fn life(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (integer, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (size, small) = match exponent.strip_prefix('-') {
        Some(size) => (size, true),
        None => (exponent.strip_prefix('+').unwrap_or(exponent), false),
    };
    if !digits(integer) || !digits(fraction) || !digits(size) {
        return DEFAULT_LIFE;
    }
    // The digits before the point, once the exponent has moved it. What is no zero begins within the text, and six digits
    // are more than a day.
    let size = size.parse().unwrap_or(usize::MAX);
    let whole = if small { integer.len().saturating_sub(size) } else { integer.len().saturating_add(size) };
    let all = integer.bytes().chain(fraction.bytes()).chain(std::iter::repeat(b'0'));
    let life = all
        .take(whole.min(text.len() + 6))
        .fold(0, |life: u64, digit| life.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    if life == 0 { DEFAULT_LIFE } else { life.min(MAX_LIFE) }
}

/// When a `Retry-After` field says to come back: seconds, or an HTTP date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(now: Time, value: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(now.plus_seconds(text.parse().unwrap_or(u64::MAX)));
    }
    http_date(now, text).map(|at| at.max(now))
}

/// An HTTP date in any of its three forms (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`,
/// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
fn http_date(now: Time, text: &str) -> Option<Time> {
    const MONTHS: &str = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    let words: Vec<&str> = text.split([',', ' ', '-', ':']).filter(|word| !word.is_empty()).collect();
    let (day, name, year, clock) = match *words {
        [_, day, name, year, hour, minute, second, "GMT"] => (day, name, year, [hour, minute, second]),
        [_, name, day, hour, minute, second, year] => (day, name, year, [hour, minute, second]),
        _ => return None,
    };
    let month = u32::try_from(MONTHS.split(' ').position(|month| month == name)?).ok()? + 1;
    let day: u32 = day.parse().ok()?;
    let [hour, minute, second] = clock.map(|word| word.parse::<u32>().ok());
    let (hour, minute, second) = (hour?, minute?, second?);
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let at = |year| Time::utc(year, month, day, (hour * 60 + minute) * 60 + second);
    let number: u32 = year.parse().ok()?;
    match year.len() {
        4 if number >= 1970 => at(number),
        // Two digits: more than 50 years ahead is the century before.
        2 => at(2000 + number).filter(|at| at.since(now) <= 50 * 366 * 86_400_000).or_else(|| at(1900 + number)),
        _ => None,
    }
}

/// A scope list for people.
pub(crate) fn listed(scopes: &[Scope]) -> String {
    let mut text = String::new();
    for scope in scopes {
        let _ = write!(text, "{}{scope}", if text.is_empty() { "" } else { " " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_seconds() {
        let now = Time(1_000);
        assert_eq!(retry_after(now, b"5"), Some(Time(6_000)));
        assert_eq!(retry_after(now, b"Sun, 06 Nov 1994 08:49:37 GMT"), Some(Time(784_111_777_000)));
        assert_eq!(retry_after(now, b"Tue, 29 Feb 2028 00:00:00 GMT"), Some(Time(1_835_395_200_000)));
        assert_eq!(retry_after(now, b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(Time(784_111_777_000)));
        assert_eq!(retry_after(now, b"Sun Nov  6 08:49:37 1994"), Some(Time(784_111_777_000)));
        let late = Time(1_795_341_600_000);
        assert_eq!(retry_after(late, b"Saturday, 06-Nov-27 08:49:37 GMT"), Some(Time(1_825_490_977_000)));
        assert_eq!(retry_after(late, b"Saturday, 06-Nov-99 08:49:37 GMT"), Some(late));
        for bad in [&b""[..], b"-1", b"soon", b"Sun, 06 Nov 1994 08:49:37", b"Sun, 06 Nov 194 08:49:37 GMT", b"\xff"] {
            assert_eq!(retry_after(now, bad), None);
        }
        assert_eq!(retry_after(Time(784_111_900_000), b"Sun, 06 Nov 1994 08:49:37 GMT"), Some(Time(784_111_900_000)));
    }

    #[test]
    fn lives_of_any_size() {
        for (raw, seconds) in [
            ("1e400", 86_400),
            ("-1e400", 60),
            ("1e-400", 60),
            ("99999999999999999999", 86_400),
            ("0", 60),
            ("0.9", 60),
            ("1", 1),
            ("59.9", 59),
            ("-5", 60),
            ("3.57e1", 35),
            ("1.5E+1", 15),
            ("12345e-2", 123),
            ("0.00005e6", 50),
            ("0.001e5", 100),
            ("000864e2", 86_400),
            ("0e99999999999999999999", 60),
            ("1e99999999999999999999", 86_400),
            ("1e-99999999999999999999", 60),
            (".5", 60),
            ("+7", 60),
            ("inf", 60),
            ("null", 60),
            ("", 60),
        ] {
            assert_eq!(life(raw.as_bytes()), seconds, "{raw}");
        }
    }
}
