//! The members of a token answer, which is one strict JSON object.
//!
//! Nearly all of it are strings without an escape: only their ends are searched for here, a step of many bytes at a
//! time. Of everything else serde_json finds the end, one value at a time: its readers of single types would bring all
//! that it takes to read and print a float.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The members of a grant that are read; a second one of the same name is an error, all others are skipped.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(crate) struct Members<'a> {
    pub(crate) token: Option<Cow<'a, [u8]>>,
    pub(crate) access_token: Option<Cow<'a, [u8]>>,
    pub(crate) refresh_token: Option<Cow<'a, [u8]>>,
    /// A string's text, and anything else as it is written.
    pub(crate) expires_in: Option<Cow<'a, [u8]>>,
}

impl<'a> Members<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let (mut members, mut seen) = (Self::default(), 0_u8);
        each(body, &mut |name, reader| {
            let (bit, place) = match name {
                b"token" => (1, Some(&mut members.token)),
                b"access_token" => (2, Some(&mut members.access_token)),
                b"refresh_token" => (4, Some(&mut members.refresh_token)),
                b"expires_in" => (8, None),
                _ => return reader.skip(),
            };
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            match place {
                Some(place) => *place = reader.optional_text()?,
                None => {
                    let raw = reader.raw()?;
                    members.expires_in = Some(unescaped(raw).unwrap_or(Cow::Borrowed(raw.as_bytes())));
                }
            }
            Some(())
        })?;
        Some(members)
    }
}

/// The member `error` of a refusal (RFC 6749 section 5.2), if it is one string.
pub(crate) fn error(body: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut error = None;
    each(body, &mut |name, reader| {
        if name != b"error" {
            return reader.skip();
        }
        reader.peek()?;
        error.replace(reader.text()?).is_none().then_some(())
    })?;
    error
}

/// Calls `member` with the name of each member, in order, to read its value.
fn each<'a>(body: &'a [u8], member: &mut dyn FnMut(&[u8], &mut Reader<'a>) -> Option<()>) -> Option<()> {
    let mut reader = Reader(body);
    reader.expect(b'{')?;
    let mut more = reader.peek()? != b'}';
    while more {
        let name = reader.text()?;
        reader.expect(b':')?;
        member(&name, &mut reader)?;
        more = reader.peek()? == b',';
        if more {
            reader.expect(b',')?;
        }
    }
    reader.expect(b'}')?;
    reader.peek().is_none().then_some(())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let start = self.0.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))?;
        self.0 = self.0.get(start..)?;
        self.0.first().copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.0 = self.0.get(1..)?;
        Some(())
    }

    /// The bytes of a string, if it is one of ASCII without controls and escapes.
    fn plain(&mut self) -> Option<&'a [u8]> {
        let inner = self.0.strip_prefix(b"\"")?;
        let (string, rest) = inner.split_at_checked(memchr::memchr2(b'"', b'\\', inner)?)?;
        // All bytes are looked at, whatever they are: then many are looked at in one step. Beyond ASCII they are
        // negative.
        if string.iter().fold(false, |bad, byte| bad | (byte.cast_signed() < 0x20)) {
            return None;
        }
        self.0 = rest.strip_prefix(b"\"")?;
        Some(string)
    }

    fn text(&mut self) -> Option<Cow<'a, [u8]>> {
        self.peek()?;
        match self.plain() {
            Some(string) => Some(Cow::Borrowed(string)),
            None => unescaped(self.raw()?),
        }
    }

    fn optional_text(&mut self) -> Option<Option<Cow<'a, [u8]>>> {
        if self.peek()? == b'"' { self.text().map(Some) } else { (self.raw()? == "null").then_some(None) }
    }

    fn skip(&mut self) -> Option<()> {
        self.peek()?;
        if self.plain().is_none() {
            self.value::<serde::de::IgnoredAny>()?;
        }
        Some(())
    }

    /// A value as it is written.
    fn raw(&mut self) -> Option<&'a str> {
        self.value::<&RawValue>().map(RawValue::get)
    }

    fn value<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = serde_json::Deserializer::from_slice(self.0).into_iter();
        let value = values.next()?.ok()?;
        self.0 = self.0.get(values.byte_offset()..)?;
        Some(value)
    }
}

/// The bytes of a string as it is written, which serde_json has found to follow the grammar; `None` where that is no
/// string, or half of a surrogate pair is in it.
fn unescaped(raw: &str) -> Option<Cow<'_, [u8]>> {
    let mut rest = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !rest.contains('\\') {
        return Some(Cow::Borrowed(rest.as_bytes()));
    }
    let unit = |digits: &str| u16::from_str_radix(digits.get(..4)?, 16).ok();
    let mut plain = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let (escape, after) = after.split_at_checked(1)?;
        rest = after;
        plain.push(match escape {
            "b" => '\x08',
            "f" => '\x0c',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let second = after.get(4..)?.strip_prefix("\\u").and_then(unit);
                let units = std::iter::once(unit(after)?).chain(second);
                let found = char::decode_utf16(units).next()?.ok()?;
                rest = after.get(if found.len_utf16() == 2 { 10 } else { 4 }..)?;
                found
            }
            other => other.chars().next()?,
        });
    }
    plain.push_str(rest);
    Some(Cow::Owned(plain.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text borrowed where it has no escapes.
    #[derive(Debug, Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    impl<'a> Text<'a> {
        fn bytes(self) -> Cow<'a, [u8]> {
            match self.0 {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }
        }
    }

    /// The same by serde alone.
    #[derive(Debug, Deserialize)]
    struct Judge<'a> {
        #[serde(borrow)]
        token: Option<Text<'a>>,
        #[serde(borrow)]
        access_token: Option<Text<'a>>,
        #[serde(borrow)]
        refresh_token: Option<Text<'a>>,
        #[serde(borrow)]
        expires_in: Option<&'a RawValue>,
    }

    #[derive(Debug, Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        error: Option<Text<'a>>,
    }

    fn compare(body: &[u8]) {
        let ours = Members::read(body);
        // An object only: serde would take the members of an array, too.
        let object = body.trim_ascii_start().starts_with(b"{");
        let judge = serde_json::from_slice::<Judge<'_>>(body).ok().filter(|_| object).map(|judge| Members {
            token: judge.token.map(Text::bytes),
            access_token: judge.access_token.map(Text::bytes),
            refresh_token: judge.refresh_token.map(Text::bytes),
            expires_in: judge.expires_in.map(|raw| {
                serde_json::from_str::<Text<'_>>(raw.get()).map_or(Cow::Borrowed(raw.get().as_bytes()), Text::bytes)
            }),
        });
        let ours = ours.map(|ours| Members { expires_in: ours.expires_in.filter(|text| **text != *b"null"), ..ours });
        let judge =
            judge.map(|judge| Members { expires_in: judge.expires_in.filter(|text| **text != *b"null"), ..judge });
        assert_eq!(ours, judge, "{}", String::from_utf8_lossy(body));
        let judge = serde_json::from_slice::<Refusal<'_>>(body).ok().filter(|_| object);
        assert_eq!(
            error(body),
            judge.and_then(|judge| judge.error).map(Text::bytes),
            "{}",
            String::from_utf8_lossy(body)
        );
    }

    #[test]
    fn what_serde_reads_is_read() {
        let bodies: [&[u8]; 9] = [
            br#"{"token":"a","access_token":"b","expires_in":300,"issued_at":"2026","scope":""}"#,
            br#" { "token" : null , "error" : "x\ny" , "expires_in" : "3.\u0035" } "#,
            br#"{"errors":[{"code":"X","detail":{"a":[1,2.5e3,true,null,"\""]}}],"refresh_token":"\u00e9\ud83d\ude00"}"#,
            br#"{"t\u006fken":"a","expires_in":{"a":1}}"#,
            br#"{"token":"a","token":"b"}"#,
            br#"{}"#,
            b"{\"token\":\"\xc3\xa9\",\"x\":\"\xff\"}",
            br#"{"token":1}"#,
            br#"{"token":"a",}"#,
        ];
        let mut seed = 7_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        for body in bodies {
            compare(body);
            // Miri is some hundred times as slow, and looks for something else.
            for _ in 0..if cfg!(miri) { 20 } else { 20_000 } {
                let mut body = body.to_vec();
                for _ in 0..=random(3) {
                    let (from, to, length) = (random(body.len() + 1), random(body.len() + 1), body.len());
                    match random(5) {
                        0 => body.truncate(from),
                        1 if from < to => drop(body.drain(from..to)),
                        2 if from < to => body.extend_from_within(from..to),
                        3 if from < length => body[from] = *b"\"\\{}[]:,0e-.tn \x01\xff".get(random(17)).unwrap(),
                        _ => body.insert(from, *b"\"\\{}[]:,0e-.tn \x01\xff".get(random(17)).unwrap()),
                    }
                }
                compare(&body);
            }
        }
    }
}
