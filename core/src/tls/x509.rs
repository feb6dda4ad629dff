//! The few facts of an X.509 certificate that choosing and naming one needs: RFC 5280, read and never verified.

use std::borrow::Cow;

use crate::time::Time;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const BOOLEAN: u8 = 0x01;

const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// The kind of key that a certificate binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
    /// Anything else, by its object identifier.
    Other(String),
}

impl KeyKind {
    fn of(algorithm: &[u8], parameter: Option<&[u8]>) -> Self {
        match (algorithm, parameter) {
            ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], _) => Self::Rsa,
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07])) => {
                Self::P256
            }
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], Some([0x2b, 0x81, 0x04, 0x00, 0x22])) => Self::P384,
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], Some([0x2b, 0x81, 0x04, 0x00, 0x23])) => Self::P521,
            ([0x2b, 0x65, 0x70], _) => Self::Ed25519,
            (other, _) => Self::Other(oid_text(other)),
        }
    }

    /// The signature schemes of such a key, RFC 8446 section 4.2.3, best first.
    pub(crate) const fn schemes(&self) -> &'static [u16] {
        match self {
            Self::Rsa => &[0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401],
            Self::P256 => &[0x0403],
            Self::P384 => &[0x0503],
            Self::P521 => &[0x0603],
            Self::Ed25519 => &[0x0807],
            Self::Other(_) => &[],
        }
    }

    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only who signs refuses a kind of key"))]
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Rsa => "RSA",
            Self::P256 => "ECDSA P-256",
            Self::P384 => "ECDSA P-384",
            Self::P521 => "ECDSA P-521",
            Self::Ed25519 => "Ed25519",
            Self::Other(oid) => oid,
        }
    }
}

/// What is read from one certificate. Names are DER, as a CertificateRequest names them.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) key: KeyKind,
    /// The bits of the public key, without the algorithm: one key can be written under two algorithms.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "compared where keys are read"))]
    pub(crate) public_key: Vec<u8>,
    /// Whether the extended key usage, where there is one, allows client authentication.
    pub(crate) client_auth: bool,
}

impl Facts {
    /// Reads a certificate; `None` where it is not one.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Reader(Reader(der).body(SEQUENCE)?);
        let mut tbs = Reader(certificate.body(SEQUENCE)?);
        tbs.optional(0xa0);
        tbs.body(INTEGER)?;
        tbs.body(SEQUENCE)?;
        let issuer = tbs.element(SEQUENCE)?.whole.to_vec();
        let mut validity = Reader(tbs.body(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = tbs.element(SEQUENCE)?.whole.to_vec();
        let (key, public_key) = public_key(tbs.element(SEQUENCE)?.whole)?;
        let mut client_auth = true;
        while let Some(element) = tbs.any() {
            if element.tag == 0xa3 {
                client_auth = allows_client_auth(Reader(element.body).body(SEQUENCE)?)?;
            }
        }
        Some(Self { issuer, subject, not_before, not_after, key, public_key, client_auth })
    }
}

/// The kind and the bits of the key in a SubjectPublicKeyInfo.
pub(crate) fn public_key(spki: &[u8]) -> Option<(KeyKind, Vec<u8>)> {
    let mut spki = Reader(Reader(spki).body(SEQUENCE)?);
    let mut algorithm = Reader(spki.body(SEQUENCE)?);
    let oid = algorithm.body(OID)?;
    let kind = KeyKind::of(oid, algorithm.body(OID));
    // The first octet counts unused bits: none in any key.
    let bits = spki.body(BIT_STRING)?.split_first()?.1;
    Some((kind, bits.to_vec()))
}

fn allows_client_auth(extensions: &[u8]) -> Option<bool> {
    let mut extensions = Reader(extensions);
    while let Some(extension) = extensions.any() {
        let mut extension = Reader(extension.body);
        let oid = extension.body(OID)?;
        extension.optional(BOOLEAN);
        if oid != EXTENDED_KEY_USAGE {
            continue;
        }
        let mut usages = Reader(Reader(extension.body(OCTET_STRING)?).body(SEQUENCE)?);
        while let Some(usage) = usages.any() {
            if usage.body == ANY_USAGE || usage.body == CLIENT_AUTH {
                return Some(true);
            }
        }
        return Some(false);
    }
    Some(true)
}

/// A distinguished name (DER) as text in the manner of RFC 4514: the most specific part first. What is no name is
/// shown as `#` and hexadecimal digits.
pub fn name_text(der: &[u8]) -> String {
    try_name_text(der).unwrap_or_else(|| hex(der))
}

fn try_name_text(der: &[u8]) -> Option<String> {
    let mut name = Reader(Reader(der).body(SEQUENCE)?);
    let mut sets = Vec::new();
    while !name.0.is_empty() {
        sets.push(name.body(SET)?);
    }
    let mut out = String::with_capacity(der.len());
    for set in sets.into_iter().rev() {
        let mut set = Reader(set);
        let mut between = ",";
        while !set.0.is_empty() {
            let mut pair = Reader(set.body(SEQUENCE)?);
            let oid = pair.body(OID)?;
            let value = pair.any()?;
            if !out.is_empty() {
                out.push_str(between);
            }
            out.push_str(&attribute(oid));
            out.push('=');
            match value.text() {
                Some(text) => escape(&text, &mut out),
                None => out.push_str(&hex(value.whole)),
            }
            between = "+";
        }
    }
    Some(out)
}

fn attribute(oid: &[u8]) -> Cow<'static, str> {
    Cow::Borrowed(match oid {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "STREET",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        // No short name in RFC 4514, but everybody's openssl prints it so.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "emailAddress",
        other => return Cow::Owned(oid_text(other)),
    })
}

/// RFC 4514 section 2.4, and control characters as hexadecimal pairs: the text goes into messages.
fn escape(text: &str, out: &mut String) {
    let special = |c: char| matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\');
    // A server may name hundreds, and hardly any of them needs a second look.
    let ordinary = |b: u8| b == b' ' || (b.is_ascii_graphic() && !special(char::from(b)));
    if !text.starts_with([' ', '#']) && !text.ends_with(' ') && text.bytes().all(ordinary) {
        return out.push_str(text);
    }
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        if c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.push_str(&format!("\\{byte:02x}"));
            }
            continue;
        }
        if special(c) || (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ') {
            out.push('\\');
        }
        out.push(c);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("#"), |text, byte| text + &format!("{byte:02x}"))
}

fn oid_text(oid: &[u8]) -> String {
    let mut text = String::new();
    let mut number: u64 = 0;
    for byte in oid {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if text.is_empty() {
                let first = (number / 40).min(2);
                text = format!("{first}.{}", number - 40 * first);
            } else {
                text.push_str(&format!(".{number}"));
            }
            number = 0;
        }
    }
    text
}

#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    body: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    fn text(&self) -> Option<Cow<'a, str>> {
        match self.tag {
            // UTF8String, NumericString, PrintableString, IA5String, VisibleString
            0x0c | 0x12 | 0x13 | 0x16 | 0x1a => std::str::from_utf8(self.body).ok().map(Cow::Borrowed),
            // T61String: Latin-1 in practice
            0x14 => Some(Cow::Owned(self.body.iter().copied().map(char::from).collect())),
            // BMPString
            0x1e => {
                let units = self.body.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
                char::decode_utf16(units).collect::<Result<_, _>>().ok().map(Cow::Owned)
            }
            _ => None,
        }
    }
}

/// Reads one element after the other; DER, so only definite lengths.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 3 {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(count)?;
            length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = after;
        }
        let (body, after) = rest.split_at_checked(length)?;
        let (whole, _) = self.0.split_at_checked(self.0.len() - after.len())?;
        self.0 = after;
        Some(Element { tag, body, whole })
    }

    fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) { self.any() } else { None }
    }

    fn body(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element(tag).map(|element| element.body)
    }

    fn optional(&mut self, tag: u8) {
        self.element(tag);
    }

    /// UTCTime or GeneralizedTime, RFC 5280 section 4.1.2.5; what lies before 1970 is 1970.
    fn time(&mut self) -> Option<Time> {
        let element = self.any()?;
        let text = std::str::from_utf8(element.body).ok()?.strip_suffix('Z')?;
        if !text.is_ascii() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = match element.tag {
            0x17 => text.split_at_checked(2)?,
            0x18 => text.split_at_checked(4)?,
            _ => return None,
        };
        let year: u32 = year.parse().ok()?;
        let year = match element.tag {
            0x17 if year < 50 => 2000 + year,
            0x17 => 1900 + year,
            _ => year,
        };
        let pair = |at: usize| -> Option<u32> { rest.get(at..at + 2)?.parse().ok() };
        if rest.len() != 10 {
            return None;
        }
        let seconds = (pair(4)? * 60 + pair(6)?) * 60 + pair(8)?;
        Some(Time::utc(year, pair(0)?, pair(2)?, seconds).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_rfc_4514_says() {
        // C=DE, O="A, B", CN=" x#" and an attribute of its own.
        let der = [
            0x30, 0x36, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x06, 0x13, 0x02, b'D', b'E', 0x31, 0x0d, 0x30,
            0x0b, 0x06, 0x03, 0x55, 0x04, 0x0a, 0x0c, 0x04, b'A', b',', b' ', b'B', 0x31, 0x0c, 0x30, 0x0a, 0x06, 0x03,
            0x55, 0x04, 0x03, 0x0c, 0x03, b' ', b'x', b'#', 0x31, 0x0a, 0x30, 0x08, 0x06, 0x03, 0x2a, 0x03, 0x04, 0x0c,
            0x01, b'v',
        ];
        assert_eq!(name_text(&der), "1.2.3.4=v,CN=\\ x#,O=A\\, B,C=DE");
        assert_eq!(name_text(&[0x30, 0x00]), "");
        for end in 1..der.len() {
            assert!(name_text(&der[..end]).starts_with('#'), "{end}");
        }
    }

    /// A name of one attribute.
    fn name_of(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let element = |tag: u8, body: &[u8]| [&[tag, u8::try_from(body.len()).unwrap()], body].concat();
        let pair = [element(OID, oid), element(tag, value)].concat();
        element(SEQUENCE, &element(SET, &element(SEQUENCE, &pair)))
    }

    #[test]
    fn attributes_have_their_short_names() {
        for (oid, name) in [
            (&[0x55, 4, 3][..], "CN"),
            (&[0x55, 4, 5], "serialNumber"),
            (&[0x55, 4, 6], "C"),
            (&[0x55, 4, 7], "L"),
            (&[0x55, 4, 8], "ST"),
            (&[0x55, 4, 9], "STREET"),
            (&[0x55, 4, 10], "O"),
            (&[0x55, 4, 11], "OU"),
            (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
            (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 0x19], "DC"),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
            (&[0x88, 0x37, 3], "2.999.3"),
        ] {
            assert_eq!(name_text(&name_of(oid, 0x0c, b"v")), format!("{name}=v"));
        }
    }

    /// A server chooses these texts, and they go into messages and logs.
    #[test]
    fn values_are_escaped_in_every_kind_of_string() {
        for (tag, value, text) in [
            (0x0c, &b"a\nb\x1b[31m"[..], "CN=a\\0ab\\1b[31m"),
            (0x0c, "\u{85}é".as_bytes(), "CN=\\c2\\85é"),
            (0x13, b"#a \"b\"+<c>;\\ ", "CN=\\#a \\\"b\\\"\\+\\<c\\>\\;\\\\\\ "),
            // T61String: Latin-1. BMPString: UTF-16.
            (0x14, b"\xe9\n", "CN=é\\0a"),
            (0x1e, b"\x00a\x00\xe9\xd8\x3d\xde\x00", "CN=aé😀"),
            // Half a character, no UTF-8, no string: in hexadecimal.
            (0x1e, b"\xd8\x3d", "CN=#1e02d83d"),
            (0x0c, b"\xff", "CN=#0c01ff"),
            (0x02, b"\x05", "CN=#020105"),
        ] {
            assert_eq!(name_text(&name_of(&[0x55, 4, 3], tag, value)), text);
        }
    }

    #[test]
    fn keys_have_their_names_and_schemes() {
        let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        for (algorithm, parameter, name, schemes) in [
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1][..], None, "RSA", 6),
            (&curve, Some(&p256[..]), "ECDSA P-256", 1),
            (&curve, Some(&[0x2b, 0x81, 4, 0, 0x22]), "ECDSA P-384", 1),
            (&curve, Some(&[0x2b, 0x81, 4, 0, 0x23]), "ECDSA P-521", 1),
            (&[0x2b, 0x65, 0x70], None, "Ed25519", 1),
            // Ed448, and a curve that is not of TLS 1.3: never chosen.
            (&[0x2b, 0x65, 0x71], None, "1.3.101.113", 0),
            (&curve, Some(&[0x2b, 0x81, 4, 0, 0x0a]), "1.2.840.10045.2.1", 0),
        ] {
            let kind = KeyKind::of(algorithm, parameter);
            assert_eq!((kind.text(), kind.schemes().len()), (name, schemes));
        }
    }

    /// Lengths of more than three bytes and the indefinite form are refused, and so is what is longer than there is.
    #[test]
    fn lengths_are_definite_and_end() {
        for bad in [&[0x30][..], &[0x30, 0x80, 0, 0], &[0x30, 0x84, 0, 0, 0, 0], &[0x30, 0x82, 1], &[0x30, 2, 0]] {
            assert!(Reader(bad).any().is_none(), "{bad:?}");
            assert!(name_text(bad).starts_with('#') && Facts::read(bad).is_none());
        }
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (tag, text, millis) in [
            (0x17, "700101000000Z", 0),
            (0x17, "491231235959Z", 2_524_607_999_000),
            (0x17, "500101000000Z", 0),
            (0x18, "20000229120000Z", 951_825_600_000),
            (0x18, "99991231235959Z", 253_402_300_799_000),
        ] {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend_from_slice(text.as_bytes());
            assert_eq!(Reader(&der).time(), Some(Time(millis)), "{text}");
        }
        assert_eq!(Reader(&[0x17, 3, b'7', b'0', b'Z']).time(), None);
        for (tag, text) in [(0x17, "70010100000 Z"), (0x17, "7001010000+1Z"), (0x13, "700101000000Z"), (0x18, "")] {
            let der = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            assert_eq!(Reader(&der).time(), None, "{text}");
        }
    }
}
