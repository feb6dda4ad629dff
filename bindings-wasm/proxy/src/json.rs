//! Objects of JSON that are read member by member: what is repeated, unknown or of another type is an error with its place.

use std::borrow::Cow;

use hifijson::SliceLexer;
use hifijson::token::Lex as _;
use hifijson::value::{Value, parse_bounded};

type Json<'a> = Value<&'a str, Cow<'a, str>>;

/// No more objects and lists in each other than these.
const MAX_DEPTH: usize = 8;

/// An object, of which members are taken out.
pub(crate) struct Object<'a> {
    place: String,
    members: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Object<'a> {
    /// Reads a text that is one object.
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, String> {
        let mut lexer = SliceLexer::new(json);
        let value = lexer
            .exactly_one(SliceLexer::ws_peek, |next, lexer| parse_bounded(MAX_DEPTH, next, lexer))
            .map_err(|error| format!("{error} at byte {}", json.len() - lexer.as_slice().len()))?;
        Self::of("the configuration".into(), value)
    }

    fn of(place: String, value: Json<'a>) -> Result<Self, String> {
        let Value::Object(members) = value else { return Err(format!("{place}: not an object")) };
        let object = Self { place, members };
        for (place, (name, _)) in object.members.iter().enumerate() {
            if object.members.iter().take(place).any(|(earlier, _)| earlier == name) {
                return Err(object.wrong(&format!("duplicate field `{name}`")));
            }
        }
        Ok(object)
    }

    /// The name of the member that it is the value of.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// A sentence with that name.
    pub(crate) fn wrong(&self, what: &str) -> String {
        format!("\"{}\": {what}", self.place.escape_default())
    }

    fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let place = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.swap_remove(place).1)
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, String> {
        self.take(name).map(|value| Self::of(name.into(), value)).transpose()
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        self.take(name).map(|value| text(name, value)).transpose()
    }

    /// A text that is one of these; the first of them where there is none.
    pub(crate) fn word<T: Copy + Default>(&mut self, name: &str, words: &[(&str, T)]) -> Result<T, String> {
        let Some(given) = self.text(name)? else { return Ok(T::default()) };
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, value)| *value);
        found.ok_or_else(|| format!("{name}: unknown variant `{given}`"))
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u32>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number((digits, _))) => {
                digits.parse().map(Some).map_err(|_| format!("{name}: not a whole number below 2^32"))
            }
            Some(_) => Err(format!("{name}: not a number")),
        }
    }

    /// A list of texts; an empty one where there is none.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<String>, String> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.into_iter().map(|item| text(name, item)).collect(),
            Some(_) => Err(format!("{name}: not a list")),
        }
    }

    /// The members, each of them an object.
    pub(crate) fn objects(self) -> impl Iterator<Item = Result<Self, String>> {
        self.members.into_iter().map(|(name, value)| Self::of(name.into_owned(), value))
    }

    /// The members, each of them a text.
    pub(crate) fn texts(self) -> Result<Vec<(String, String)>, String> {
        let pair = |(name, value): (Cow<'_, str>, _)| Ok((name.clone().into_owned(), text(&name, value)?));
        self.members.into_iter().map(pair).collect()
    }

    /// All members have been taken.
    pub(crate) fn end(&self) -> Result<(), String> {
        match self.members.first() {
            Some((name, _)) => Err(self.wrong(&format!("unknown field `{name}`"))),
            None => Ok(()),
        }
    }
}

fn text(name: &str, value: Json<'_>) -> Result<String, String> {
    if let Value::String(text) = value { Ok(text.into_owned()) } else { Err(format!("{name}: not a text")) }
}
