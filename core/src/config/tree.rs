//! JSON, TOML and YAML as one kind of tree: keys in the order of the file, each with its line.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Levels of nesting: the formats need five.
const MAX_DEPTH: usize = 24;
/// Values in one document, repeated ones of aliases included.
const MAX_NODES: usize = 100_000;

/// A value and its line, from 1.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number, or a time: no format needs its value.
    Number,
    /// Text, which may be a password. `plain`: YAML without quotes, so that it may stand for another type.
    Text {
        text: Zeroizing<String>,
        plain: bool,
    },
    List(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) line: u32,
}

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) line: Option<u32>,
    pub(crate) what: String,
}

/// A document, and the keys that appear twice in one table.
pub(crate) struct Document {
    pub(crate) root: Node,
    /// Of YAML: what follows the first document.
    pub(crate) more: Vec<Node>,
    pub(crate) twice: Vec<Key>,
}

impl Node {
    fn new(line: u32, value: Value) -> Self {
        Self { line, value }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn table(&self) -> Option<&[(Key, Self)]> {
        if let Value::Table(entries) = &self.value { Some(entries) } else { None }
    }

    /// A field of a table.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.table()?.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// The same without regard to case, as readers of JSON in Go match it; the one that is written right before others.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        let other = || self.table()?.iter().find(|(key, _)| key.text.eq_ignore_ascii_case(name));
        self.get(name).or_else(|| other().map(|(_, node)| node))
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            // YAML 1.1, as readers in Go do.
            Value::Text { text, plain: true } => match &*text.to_ascii_lowercase() {
                "true" | "yes" | "on" | "y" => Some(true),
                "false" | "no" | "off" | "n" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number => "a number",
            Value::Text { .. } => "text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// The lines of a text, for offsets: where they end, and their numbers where these are others than 1, 2, 3.
struct Lines(Vec<usize>, Vec<u32>);

impl Lines {
    fn new(text: &str, numbers: Vec<u32>) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect(), numbers)
    }

    fn of(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|end| *end < offset);
        let other = || u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        self.1.get(before).copied().unwrap_or_else(other)
    }
}

/// Counts the values of one document, up to the limits.
#[derive(Default)]
pub(super) struct Count(usize);

impl Count {
    pub(super) fn add(&mut self, values: usize, line: u32) -> Result<(), Flaw> {
        self.0 = self.0.saturating_add(values);
        if self.0 <= MAX_NODES {
            return Ok(());
        }
        Err(Flaw { line: Some(line), what: format!("it holds more than {MAX_NODES} values") })
    }

    pub(super) fn deep(depth: usize, line: u32) -> Result<(), Flaw> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(Flaw { line: Some(line), what: format!("it is nested deeper than {MAX_DEPTH} levels") })
    }
}

/// JSON, RFC 8259. Of keys that appear twice the last one is kept, as most readers do.
pub(crate) fn json(text: &str) -> Result<Document, Flaw> {
    let flaw = |error: serde_json::Error| Flaw {
        line: u32::try_from(error.line()).ok().filter(|line| *line > 0),
        what: json_error(&error).into(),
    };
    let raw: &RawValue = serde_json::from_str(text).map_err(flaw)?;
    let mut reader = Json {
        lines: Lines::new(text, Vec::new()),
        start: text.as_ptr() as usize,
        count: Count::default(),
        twice: Vec::new(),
    };
    let root = reader.node(raw, 0)?;
    Ok(Document { root, more: Vec::new(), twice: reader.twice })
}

/// Without the text of the error, which may quote what is in the file.
fn json_error(error: &serde_json::Error) -> &'static str {
    if error.is_eof() { "it ends in the middle of a value" } else { "it is not JSON" }
}

struct Json {
    lines: Lines,
    start: usize,
    count: Count,
    twice: Vec<Key>,
}

impl Json {
    fn node(&mut self, raw: &RawValue, depth: usize) -> Result<Node, Flaw> {
        let text = raw.get();
        let line = self.lines.of((text.as_ptr() as usize).saturating_sub(self.start));
        let broken = |_| Flaw { line: Some(line), what: "it is not JSON".into() };
        Count::deep(depth, line)?;
        self.count.add(1, line)?;
        let value = match text.as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text).map_err(broken)?;
                let mut entries: Vec<(Key, Node)> = Vec::with_capacity(members.len());
                let mut places: HashMap<String, usize> = HashMap::new();
                for (name, raw) in members {
                    let node = self.node(raw, depth + 1)?;
                    let key = Key { text: name, line: node.line };
                    match places.get(&key.text).and_then(|at| entries.get_mut(*at)) {
                        Some(entry) => {
                            self.twice.push(key.clone());
                            *entry = (key, node);
                        }
                        None => {
                            places.insert(key.text.clone(), entries.len());
                            entries.push((key, node));
                        }
                    }
                }
                Value::Table(entries)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(broken)?;
                Value::List(items.into_iter().map(|raw| self.node(raw, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => {
                let text: String = serde_json::from_str(text).map_err(broken)?;
                Value::Text { text: Zeroizing::new(text), plain: false }
            }
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number,
        };
        Ok(Node::new(line, value))
    }
}

/// The members of an object in order, repeated ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// TOML 1.0.
pub(crate) fn toml(text: &str) -> Result<Document, Flaw> {
    toml_lines(text, Vec::new())
}

/// The same of a text whose lines have these numbers.
pub(super) fn toml_lines(text: &str, numbers: Vec<u32>) -> Result<Document, Flaw> {
    let lines = Lines::new(text, numbers);
    let table = toml::de::DeTable::parse(text).map_err(|error| Flaw {
        line: error.span().map(|span| lines.of(span.start)),
        // The message says what was expected and quotes nothing.
        what: error.message().trim_end_matches('.').to_string(),
    })?;
    let value = Toml { lines, count: Count::default() }.table(table.get_ref(), 0)?;
    Ok(Document { root: Node::new(1, value), more: Vec::new(), twice: Vec::new() })
}

struct Toml {
    lines: Lines,
    count: Count,
}

impl Toml {
    fn table(&mut self, table: &toml::de::DeTable<'_>, depth: usize) -> Result<Value, Flaw> {
        let mut entries = Vec::new();
        for (key, value) in table {
            let at = key.span().start;
            let key = Key { text: key.get_ref().to_string(), line: self.lines.of(at) };
            let node = self.node(value, key.line, depth + 1)?;
            entries.push((at, (key, node)));
        }
        entries.sort_by_key(|(at, _)| *at);
        Ok(Value::Table(entries.into_iter().map(|(_, entry)| entry).collect()))
    }

    /// `line`: of the key, which is that of a table too.
    fn node(&mut self, value: &toml::Spanned<toml::de::DeValue<'_>>, line: u32, depth: usize) -> Result<Node, Flaw> {
        use toml::de::DeValue;
        Count::deep(depth, line)?;
        self.count.add(1, line)?;
        let own = self.lines.of(value.span().start);
        let value = match value.get_ref() {
            DeValue::Table(table) => return Ok(Node::new(line, self.table(table, depth)?)),
            DeValue::String(text) => Value::Text { text: Zeroizing::new(text.to_string()), plain: false },
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => Value::Number,
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item, own, depth + 1)).collect::<Result<_, _>>()?)
            }
        };
        Ok(Node::new(own, value))
    }
}

/// YAML 1.2; anchors, aliases and `<<` are resolved.
pub(crate) use super::yaml::read as yaml;
