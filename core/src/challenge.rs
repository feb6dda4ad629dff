//! `WWW-Authenticate` (RFC 9110 section 11.6.1), read as servers write it.
//!
//! Several fields, and several challenges in one field, are one list in order. Nothing is copied: schemes, names and
//! values borrow from the field. What breaks the grammar is recovered from, one parameter or word at a time, and
//! reported as a [`Flaw`] with its byte offset; a bad field never fails the others.
//!
//! ```
//! use regauth::challenge::parse;
//!
//! let fields: [&[u8]; 2] = [b"Negotiate YWJj==", b"Bearer realm=\"https://auth.example/token\",service=reg"];
//! let challenges = parse(fields).challenges;
//! assert_eq!(challenges[1].get("realm").as_deref(), Some(&b"https://auth.example/token"[..]));
//! ```

use std::borrow::Cow;
use std::collections::BTreeSet;

/// One challenge: a scheme, and either a token68 or parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge<'a> {
    scheme: &'a [u8],
    token68: Option<&'a [u8]>,
    few: [Param<'a>; FEW],
    count: usize,
    more: Vec<Param<'a>>,
}

/// So many parameters are kept without an allocation: realm, service, scope, error, error_description and one more.
const FEW: usize = 6;

/// One auth-param.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Param<'a> {
    name: &'a [u8],
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Param<'a> {
    /// The name as written; names are compared without regard to case.
    pub const fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The value, its quoted-pairs unescaped. Copied only where there was one.
    pub fn value(&self) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut plain = Vec::with_capacity(self.raw.len());
        let mut bytes = self.raw.iter();
        while let Some(byte) = bytes.next() {
            plain.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
        }
        Cow::Owned(plain)
    }
}

impl<'a> Challenge<'a> {
    /// The scheme as written.
    pub const fn scheme(&self) -> &'a [u8] {
        self.scheme
    }

    /// Whether the scheme is this one, without regard to case.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme.as_bytes())
    }

    /// What stands in the place of parameters, as in `Negotiate YWJj==`.
    pub const fn token68(&self) -> Option<&'a [u8]> {
        self.token68
    }

    /// The parameters in order, each name once.
    pub fn params(&self) -> impl Iterator<Item = &Param<'a>> {
        self.few.iter().take(self.count).chain(&self.more)
    }

    /// The value of the parameter with this name, without regard to case.
    pub fn get(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.params().find(|param| param.name.eq_ignore_ascii_case(name.as_bytes())).map(Param::value)
    }

    /// The value as text, where it is UTF-8 and not empty: an empty `scope` or `service` counts as none.
    pub fn text(&self, name: &str) -> Option<String> {
        String::from_utf8(self.get(name)?.into_owned()).ok().filter(|text| !text.is_empty())
    }

    /// `names` are those of `more`, in lower case: a server that sends ten thousand is no work for their square.
    fn add(&mut self, param: Param<'a>, names: &mut BTreeSet<Vec<u8>>) -> bool {
        if self.few.iter().take(self.count).any(|known| known.name.eq_ignore_ascii_case(param.name)) {
            return false;
        }
        match self.few.get_mut(self.count) {
            Some(place) => {
                *place = param;
                self.count += 1;
            }
            None if !names.insert(param.name.to_ascii_lowercase()) => return false,
            None => self.more.push(param),
        }
        true
    }
}

/// Where a field breaks the grammar, and what was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The number of the field, from 0.
    pub field: usize,
    /// The byte in that field, from 0.
    pub offset: usize,
    /// What is wrong there.
    pub kind: FlawKind,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlawKind {
    /// The field holds no challenge.
    Empty,
    /// An unquoted value with characters that no token has: taken up to the next comma or white space.
    Unquoted,
    /// A quoted string that does not end: the parameter is dropped.
    Unterminated,
    /// `name=` with nothing after it: the parameter is dropped.
    NoValue,
    /// Two parameters, or a parameter and a scheme, without a comma between them: forgiven.
    NoComma,
    /// A second parameter of one name: ignored.
    Repeated,
    /// A parameter before any scheme: dropped.
    NoScheme,
    /// A parameter after a token68: the token68 is dropped.
    AfterToken68,
    /// Something that is neither a scheme nor a parameter: skipped to the next comma or white space.
    Junk,
    /// A line break outside quotes: read as a space. In a quoted string a control character is kept.
    Control,
}

impl FlawKind {
    /// `empty`, `unquoted`, `unterminated`, `no-value`, `no-comma`, `repeated`, `no-scheme`, `after-token68`, `junk` or
    /// `control`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unquoted => "unquoted",
            Self::Unterminated => "unterminated",
            Self::NoValue => "no-value",
            Self::NoComma => "no-comma",
            Self::Repeated => "repeated",
            Self::NoScheme => "no-scheme",
            Self::AfterToken68 => "after-token68",
            Self::Junk => "junk",
            Self::Control => "control",
        }
    }
}

/// The challenges of an answer, and what was wrong with their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenges<'a> {
    /// In the order in which they stand.
    pub challenges: Vec<Challenge<'a>>,
    /// Empty where the fields follow the grammar.
    pub flaws: Vec<Flaw>,
}

/// Reads all `WWW-Authenticate` fields of an answer.
pub fn parse<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Challenges<'a> {
    let mut all = Challenges::default();
    let Challenges { challenges, flaws } = &mut all;
    for (number, field) in fields.into_iter().enumerate() {
        let mut flaw = |(offset, kind)| flaws.push(Flaw { field: number, offset, kind });
        walk(field, &mut |challenge| challenges.push(challenge.clone()), &mut flaw);
    }
    all
}

/// Reads one field and lends each of its challenges to `found`, without an allocation for up to six parameters.
/// `flaw` gets the byte offset of what breaks the grammar.
pub fn each<'a>(field: &'a [u8], mut found: impl FnMut(&Challenge<'a>), mut flaw: impl FnMut((usize, FlawKind))) {
    walk(field, &mut found, &mut flaw);
}

/// The same, compiled once.
fn walk<'a>(field: &'a [u8], found: &mut dyn FnMut(&Challenge<'a>), flaw: &mut dyn FnMut((usize, FlawKind))) {
    let mut reader = Reader { field, at: 0 };
    let mut current = Challenge::default();
    let mut names = BTreeSet::new();
    let mut any = false;
    // Between a scheme and its first parameter there is white space only.
    let (mut comma, mut bare) = (true, false);
    loop {
        comma |= reader.skip_separators(flaw);
        let start = reader.at;
        if start >= field.len() {
            break;
        }
        let word = reader.take(TOKEN);
        let after = reader.at;
        let broken = reader.skip_space();
        if !word.is_empty() && reader.peek() == Some(b'=') {
            reader.at += 1;
            if !comma && !bare && any {
                flaw((start, FlawKind::NoComma));
            }
            let broken_too = reader.skip_space();
            if let Some(at) = broken.or(broken_too) {
                flaw((at, FlawKind::Control));
            }
            match reader.value() {
                Ok((raw, escaped, clean)) => {
                    if !clean {
                        flaw((start, FlawKind::Unquoted));
                    }
                    // A challenge has the one or the others (RFC 9110 section 11.3); `realm=, service="r"` meant these.
                    if current.token68.take().is_some() {
                        flaw((start, FlawKind::AfterToken68));
                    }
                    if !any {
                        flaw((start, FlawKind::NoScheme));
                    } else if !current.add(Param { name: word, raw, escaped }, &mut names) {
                        flaw((start, FlawKind::Repeated));
                    }
                }
                Err(kind) => flaw((start, kind)),
            }
            (comma, bare) = (false, false);
            continue;
        }
        reader.at = after;
        let delimited = reader.peek().is_none_or(|byte| has(byte, SPACE | COMMA));
        if word.is_empty() || !delimited {
            flaw((start, FlawKind::Junk));
            reader.take_until(SPACE | COMMA);
            (comma, bare) = (false, false);
            continue;
        }
        if any {
            if !comma {
                flaw((start, FlawKind::NoComma));
            }
            found(&current);
            current = Challenge::default();
            names.clear();
        }
        any = true;
        (current.scheme, current.token68) = (word, reader.token68(flaw));
        (comma, bare) = (false, current.token68.is_none());
    }
    if any {
        found(&current);
    } else if field.iter().all(|byte| has(*byte, SPACE | COMMA)) {
        flaw((0, FlawKind::Empty));
    }
}

struct Reader<'a> {
    field: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.field.get(self.at).copied()
    }

    /// Takes bytes up to the first one that has none of these properties.
    fn take(&mut self, wanted: u8) -> &'a [u8] {
        let rest = self.field.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !has(*byte, wanted)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Takes bytes up to the first one that has one of these properties.
    fn take_until(&mut self, stop: u8) -> &'a [u8] {
        let rest = self.field.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| has(*byte, stop)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Skips white space, and says where the first line break in it is.
    fn skip_space(&mut self) -> Option<usize> {
        let start = self.at;
        self.take(SPACE).iter().position(|byte| has(*byte, CONTROL)).map(|at| start + at)
    }

    /// Skips white space and commas, and says whether there was a comma.
    fn skip_separators(&mut self, flaw: &mut dyn FnMut((usize, FlawKind))) -> bool {
        let (mut comma, mut broken) = (false, None);
        while let Some(byte) = self.peek().filter(|byte| has(*byte, SPACE | COMMA)) {
            comma |= byte == b',';
            if matches!(byte, b'\r' | b'\n') {
                broken = broken.or(Some(self.at));
            }
            self.at += 1;
        }
        if let Some(at) = broken {
            flaw((at, FlawKind::Control));
        }
        comma
    }

    /// What stands after a scheme, if it is a token68: that is followed by a comma or the end. After two `=` white space
    /// will do, as no parameter has them.
    fn token68(&mut self, flaw: &mut dyn FnMut((usize, FlawKind))) -> Option<&'a [u8]> {
        let start = self.at;
        let broken = self.skip_space();
        let from = self.at;
        let letters = self.take(TOKEN68).len();
        let padding = self.take(EQUALS).len();
        let word = self.field.get(from..self.at).filter(|_| letters > 0);
        let end = self.at;
        self.skip_space();
        let ends = matches!(self.peek(), None | Some(b',')) || (padding > 1 && self.at > end);
        if word.is_some() && ends {
            if let Some(at) = broken {
                flaw((at, FlawKind::Control));
            }
            self.at = end;
            return word;
        }
        self.at = start;
        None
    }

    /// The value after `=` and white space: its raw bytes, whether they hold quoted-pairs, and whether they follow the
    /// grammar.
    fn value(&mut self) -> Result<(&'a [u8], bool, bool), FlawKind> {
        if self.peek() != Some(b'"') {
            let raw = self.take_until(SPACE | COMMA);
            return if raw.is_empty() {
                Err(FlawKind::NoValue)
            } else {
                Ok((raw, false, raw.iter().all(|byte| has(*byte, TOKEN))))
            };
        }
        self.at += 1;
        let start = self.at;
        let (mut escaped, mut clean) = (false, true);
        loop {
            self.take_until(QUOTE | BACKSLASH | CONTROL);
            match self.peek() {
                None => return Err(FlawKind::Unterminated),
                Some(b'"') => {
                    let raw = self.field.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok((raw, escaped, clean));
                }
                Some(b'\\') => {
                    escaped = true;
                    clean &= self.field.get(self.at + 1).is_none_or(|byte| !has(*byte, CONTROL));
                    self.at += 2;
                }
                Some(_) => {
                    clean = false;
                    self.at += 1;
                }
            }
        }
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
const TOKEN: u8 = 1;
/// What a token68 is made of, RFC 9110 section 11.2.
const TOKEN68: u8 = 2;
const SPACE: u8 = 4;
const CONTROL: u8 = 8;
const COMMA: u8 = 16;
const QUOTE: u8 = 32;
const BACKSLASH: u8 = 64;
const EQUALS: u8 = 128;

/// The properties of every byte, as a table: this is the inner loop.
const PROPERTIES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::indexing_slicing)] // constant evaluation
        {
            table[byte] = properties(byte as u8);
        }
        byte += 1;
    }
    table
};

const fn properties(byte: u8) -> u8 {
    match byte {
        b' ' | b'\t' => SPACE,
        b'\r' | b'\n' => SPACE | CONTROL,
        0..0x20 | 0x7f => CONTROL,
        b',' => COMMA,
        b'"' => QUOTE,
        b'\\' => BACKSLASH,
        b'=' => EQUALS,
        b'/' => TOKEN68,
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'+' => TOKEN | TOKEN68,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'^' | b'`' | b'|' => TOKEN,
        _ => 0,
    }
}

fn has(byte: u8, any: u8) -> bool {
    PROPERTIES.get(usize::from(byte)).is_some_and(|properties| properties & any != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(field: &str) -> Vec<(usize, FlawKind)> {
        parse([field.as_bytes()]).flaws.iter().map(|flaw| (flaw.offset, flaw.kind)).collect()
    }

    #[test]
    fn flaws_have_offsets() {
        assert_eq!(flaws("Bearer realm=\"a\", service="), [(18, FlawKind::NoValue)]);
        assert_eq!(flaws("Bearer realm=\"a\" service=b"), [(17, FlawKind::NoComma)]);
        assert_eq!(flaws("Bearer realm=a/b"), [(7, FlawKind::Unquoted)]);
        assert_eq!(flaws("Bearer a=b, realm=\"x"), [(12, FlawKind::Unterminated)]);
        assert_eq!(flaws("Bearer a=b, A=c"), [(12, FlawKind::Repeated)]);
        assert_eq!(flaws("a=b"), [(0, FlawKind::NoScheme)]);
        assert_eq!(flaws("Bearer realm=, service=r"), [(15, FlawKind::AfterToken68)]);
        assert_eq!(flaws("Bearer\"x\" a=b")[0], (0, FlawKind::Junk));
        assert_eq!(flaws(" ,"), [(0, FlawKind::Empty)]);
        assert_eq!(flaws("Basic\r\n realm=x"), [(5, FlawKind::Control)]);
        assert_eq!(flaws("Basic realm=x\r\n, Bearer"), [(13, FlawKind::Control)]);
        assert_eq!(flaws("Basic realm \r=x, a=\nb"), [(12, FlawKind::Control), (19, FlawKind::Control)]);
        assert_eq!(flaws("Negotiate\r\n abc=="), [(9, FlawKind::Control)]);
        assert_eq!(flaws("Negotiate abc== Basic"), [(16, FlawKind::NoComma)]);
        assert_eq!(flaws("Basic Bearer realm=x"), [(6, FlawKind::NoComma)]);
        assert!(flaws("Negotiate, Basic realm = \"x\" ,NTLM abc==,  Digest").is_empty());
    }

    #[test]
    fn more_than_six_parameters_are_kept() {
        let field = b"X a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=\"\\8\"";
        let all = parse([&field[..]]);
        assert_eq!(all.challenges[0].params().count(), 8);
        assert_eq!(all.challenges[0].get("H").as_deref(), Some(&b"8"[..]));
        assert_eq!(
            flaws("X a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,G=9,A=1"),
            [(34, FlawKind::Repeated), (38, FlawKind::Repeated)]
        );
        assert!(flaws("X a=1,b=2,c=3,d=4,e=5,f=6,g=7, Y a=1,b=2,c=3,d=4,e=5,f=6,g=7").is_empty());
    }
}
