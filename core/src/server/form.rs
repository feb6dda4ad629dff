//! The parameters of a token request: a query or a form, read so that nothing can be taken in two ways.

use zeroize::Zeroizing;

use super::call::Reason;
use crate::route::percent_decode;

/// Names and values in order, decoded once. Values are wiped when they are dropped: passwords are among them.
#[derive(Default)]
pub(super) struct Parameters(Vec<(String, Zeroizing<String>)>);

impl Parameters {
    /// Reads `a=b&c=d` (the WHATWG URL standard's application/x-www-form-urlencoded). Broken escapes, control
    /// characters and `;`, which some parsers take for `&`, are refused.
    pub(super) fn read(text: &str) -> Result<Self, Reason> {
        let decode = |text| percent_decode(text, true).filter(|text| !text.contains(char::is_control));
        let mut list = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if pair.contains(';') {
                return Err(Reason::Parameter);
            }
            let (Some(name), Some(value)) = (decode(name), decode(value)) else { return Err(Reason::Parameter) };
            list.push((name, Zeroizing::new(value)));
        }
        Ok(Self(list))
    }

    /// Whether any of these is there.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.0.iter().any(|(have, _)| names.contains(&have.as_str()))
    }

    /// The one value of a parameter; a second one is an error, and an empty one is none (RFC 6749 section 3.1).
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Reason> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Reason::Parameter),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}
