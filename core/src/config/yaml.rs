//! YAML into the common tree, from the parser's events: without recursion, and with an end to what aliases repeat.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use zeroize::Zeroizing;

use super::tree::{Count, Document, Flaw, Key, Node, Value};

/// A list or table that is not complete.
struct Open {
    line: u32,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Table { entries: Vec<(Key, Node)>, names: HashSet<String>, key: Option<Key> },
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    /// What anchors stand for, and how many values that is.
    anchors: HashMap<usize, (Node, usize)>,
    count: Count,
    twice: Vec<Key>,
    /// Documents that are not empty.
    roots: Vec<Node>,
}

pub(crate) fn read(text: &str) -> Result<Document, Flaw> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Flaw {
            line: u32::try_from(error.marker().line()).ok(),
            what: error.info().to_string(),
        })?;
        let line = line(&span);
        match event {
            Event::Scalar(text, style, anchor, _) => reader.done(scalar(&text, style, line), anchor)?,
            Event::SequenceStart(anchor, _) => reader.open.push(Open { line, anchor, items: Items::List(Vec::new()) }),
            Event::MappingStart(anchor, _) => {
                let items = Items::Table { entries: Vec::new(), names: HashSet::new(), key: None };
                reader.open.push(Open { line, anchor, items });
            }
            Event::SequenceEnd | Event::MappingEnd => reader.close()?,
            Event::Alias(anchor) => {
                let Some((node, size)) = reader.anchors.get(&anchor) else {
                    return Err(Flaw { line: Some(line), what: "an alias inside of what it stands for".into() });
                };
                let node = Node { line, value: node.value.clone() };
                reader.count.add(*size, line)?;
                reader.done(node, 0)?;
            }
            _ => {}
        }
        Count::deep(reader.open.len(), line)?;
    }
    let mut roots = reader.roots.into_iter();
    let root = roots.next().unwrap_or(Node { line: 1, value: Value::Null });
    Ok(Document { root, more: roots.collect(), twice: reader.twice })
}

fn line(span: &Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

fn scalar(text: &str, style: ScalarStyle, line: u32) -> Node {
    let plain = style == ScalarStyle::Plain;
    let value = if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        Value::Null
    } else {
        Value::Text { text: Zeroizing::new(text.to_string()), plain }
    };
    Node { line, value }
}

impl Reader {
    fn close(&mut self) -> Result<(), Flaw> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.items {
            Items::List(items) => Value::List(items),
            Items::Table { entries, .. } => Value::Table(self.merge(entries)?),
        };
        self.done(Node { line: open.line, value }, open.anchor)
    }

    /// A value is complete: it goes where the innermost list or table wants it.
    fn done(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        self.count.add(1, node.line)?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size(&node)));
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None if node.is_null() => {}
            None => self.roots.push(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Table { entries, names, key }) => match key.take() {
                None => {
                    let text = match &node.value {
                        Value::Text { text, .. } => text.to_string(),
                        Value::Null => "~".into(),
                        _ => return Err(Flaw { line: Some(node.line), what: "a key that is no text".into() }),
                    };
                    *key = Some(Key { text, line: node.line });
                }
                Some(key) => {
                    if !names.insert(key.text.clone()) && key.text != "<<" {
                        self.twice.push(key.clone());
                    }
                    entries.push((key, node));
                }
            },
        }
        Ok(())
    }

    /// `<<` gives what the table itself does not have.
    fn merge(&mut self, entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Flaw> {
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key.text == "<<");
        if merges.is_empty() {
            return Ok(own);
        }
        let mut names: HashSet<String> = own.iter().map(|(key, _)| key.text.clone()).collect();
        for (key, node) in merges {
            let tables = match node.value {
                Value::Table(entries) => vec![entries],
                Value::List(items) => items.iter().filter_map(|item| item.table().map(<[_]>::to_vec)).collect(),
                _ => return Err(Flaw { line: Some(key.line), what: "<< without a table".into() }),
            };
            for (key, node) in tables.into_iter().flatten() {
                self.count.add(1, key.line)?;
                if names.insert(key.text.clone()) {
                    own.push((key, node));
                }
            }
        }
        Ok(own)
    }
}

/// The number of values in a tree whose depth is limited.
fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => items.iter().map(size).sum::<usize>() + 1,
        Value::Table(entries) => entries.iter().map(|(_, node)| size(node)).sum::<usize>() + 1,
        _ => 1,
    }
}
