//! One JSON object, read strictly: what two parsers could read differently is refused.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The most members of one object: nothing that is read here has more than ten of its own.
const MAX_MEMBERS: usize = 64;

/// The members of an object, none of them twice.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads one object and nothing after it. `known` are the names that count: a member that has one of them in other
    /// letter case is refused, because some parsers take it for the same.
    pub(super) fn read(json: &'a [u8], known: &[&str]) -> Option<Self> {
        let object: Self = serde_json::from_slice(json).ok()?;
        let same = |name: &str| known.iter().all(|known| *known == name || !known.eq_ignore_ascii_case(name));
        object.0.iter().all(|(name, _)| same(name)).then_some(object)
    }

    /// The member of this name: `None` if it is not there, an error if it is of another type.
    pub(super) fn get<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, ()> {
        match self.raw(name) {
            Some(raw) => serde_json::from_str(raw).map(Some).map_err(|_| ()),
            None => Ok(None),
        }
    }

    /// The member of this name as it stands.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.get())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
                while let Some(Name(name)) = map.next_key()? {
                    if members.len() == MAX_MEMBERS || members.iter().any(|(have, _)| *have == name) {
                        return Err(A::Error::custom("repeated, or too many"));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
