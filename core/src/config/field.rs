//! A value of a document with its place, and what the importers of several formats read out of one in the same way.

use std::collections::HashSet;
use std::sync::Arc;

use super::diagnostic::{Code, Place, Severity};
use super::directory::{Directory, File};
use super::load::Importer;
use super::model::HostEntry;
use super::names::similar;
use super::tree::{Document, Flaw, Node};
use crate::secret::Secret;

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) node: &'a Node,
    pub(super) at: Place,
}

impl<'a> Field<'a> {
    /// The document of a file.
    pub(super) fn root(file: &File, node: &'a Node) -> Self {
        Self { node, at: Place::file(&*file.name) }
    }

    /// A field of this table that is not null.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        self.named(name, self.node.get(name)?)
    }

    /// The same without regard to case, as readers of JSON in Go match it; the one that is written right before others.
    pub(super) fn find(&self, name: &str) -> Option<Self> {
        self.named(name, self.node.find(name)?)
    }

    fn named(&self, name: &str, node: &'a Node) -> Option<Self> {
        (!node.is_null()).then(|| Self { node, at: self.at.field(name, node.line) })
    }

    /// The fields of this table.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let entries = self.node.table().unwrap_or_default().iter();
        entries.map(|(key, node)| (key.text.as_str(), Self { node, at: self.at.field(&key.text, node.line) }))
    }

    /// What stands in this table under names that are the user's: `host."https://reg.example"`.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let entries = self.node.table().unwrap_or_default().iter();
        entries.map(|(key, node)| (key.text.as_str(), Self { node, at: self.at.entry(&key.text, key.line) }))
    }

    /// What is in this list.
    pub(super) fn items(&self) -> Option<impl Iterator<Item = Self>> {
        Some(self.node.list()?.iter().map(|node| Self { node, at: self.at.line(node.line) }))
    }

    /// A list of texts, or one.
    pub(super) fn texts(&self) -> Option<Vec<(&'a str, Place)>> {
        match self.node.text() {
            Some(text) => Some(vec![(text, self.at.line(self.node.line))]),
            None => self.items()?.map(|item| Some((item.node.text()?, item.at))).collect(),
        }
    }
}

/// What the names of files in a document are relative to.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    folder: &'a str,
    /// What of it is known.
    pub(super) directory: Option<&'a Directory>,
}

impl<'a> Base<'a> {
    pub(super) fn beside(file: &'a File) -> Self {
        let separators: &[char] = if is_of_windows(&file.name) { &['/', '\\'] } else { &['/'] };
        Self { folder: file.name.rsplit_once(separators).map_or("", |(folder, _)| folder), directory: None }
    }

    pub(super) fn inside(directory: &'a Directory) -> Self {
        Self { folder: &directory.name, directory: Some(directory) }
    }

    pub(super) fn path(&self, name: &str) -> String {
        if name.starts_with('/') || is_of_windows(name) || self.folder.is_empty() {
            return name.into();
        }
        format!("{}/{name}", self.folder.trim_end_matches('/'))
    }
}

/// Whether a name begins with a drive or a host.
fn is_of_windows(name: &str) -> bool {
    let drive = matches!(name.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic());
    drive || name.starts_with(r"\\")
}

impl Importer {
    /// The document of one source; where it cannot be read, requests to every registry fail.
    pub(super) fn source(&mut self, file: &File, read: fn(&str) -> Result<Document, Flaw>) -> Option<Node> {
        self.sources += 1;
        self.document(file, read, Severity::Error).unwrap_or_else(|why| {
            self.broken_source(&Place::file(&*file.name), why);
            None
        })
    }

    /// A value of the type that is wanted; where it has another, that is said. `Err`: the sentence.
    pub(super) fn want<T>(&mut self, field: &Field<'_>, wanted: &str, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| {
            let what = format!("{} where {wanted} should be", field.node.kind());
            self.error(Code::WrongType, &field.at.line(field.node.line), &what, "Correct the value.");
            format!("{}: {what}", field.at)
        })
    }

    pub(super) fn want_table(&mut self, field: &Field<'_>) -> Result<(), String> {
        let table = self.want(field, "a table", field.node.table());
        table.map(|_| ()).map_err(|_| format!("{}: it is no table", field.at))
    }

    pub(super) fn want_flag(&mut self, table: &Field<'_>, name: &str, wanted: &str) -> Result<Option<bool>, String> {
        let Some(field) = table.get(name) else { return Ok(None) };
        self.want(&field, wanted, field.node.bool()).map(Some)
    }

    /// Says which keys of a table are not among those that the format knows.
    pub(super) fn unknown(&mut self, table: &Field<'_>, known: &[&str]) {
        for (key, node) in table.node.table().unwrap_or_default() {
            if !known.contains(&key.text.as_str()) {
                self.unknown_field(&table.at.field(&key.text, node.line.min(key.line)), &key.text, known);
            }
        }
    }

    pub(super) fn unknown_field(&mut self, at: &Place, name: &str, known: &[&str]) {
        let remedy = match similar(name, known) {
            Some(meant) => format!("Write {meant}, if that is meant."),
            None => "Remove it, or correct its name.".into(),
        };
        self.warn(Code::UnknownField, at, "the format has no such field: it does nothing", &remedy);
    }

    /// Adds the certificate authorities in these files.
    pub(super) fn authorities(&mut self, host: &mut HostEntry, base: Base<'_>, files: &[(&str, Place)]) {
        let mut seen = HashSet::new();
        for (name, _) in files.iter().filter(|(name, _)| seen.insert(*name)) {
            let loaded = self.named(base, name);
            self.authority(host, loaded);
        }
    }

    /// Adds a client certificate whose two files are named.
    pub(super) fn pair(
        &mut self,
        host: &mut HostEntry,
        base: Base<'_>,
        (certificate, key): (Option<&str>, Option<&str>),
        at: &Place,
    ) {
        let (code, what) = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (self.named(base, certificate), self.named(base, key));
                return self.identity(host, certificate, key, at);
            }
            (Some(_), None) => (Code::CertificateWithoutKey, "a client certificate without its key"),
            (None, _) => (Code::KeyWithoutCertificate, "a key without its client certificate"),
        };
        self.error(code, at, what, "Name both files.");
        host.fail(format!("{at}: {what}"));
    }

    /// Adds a header field with one value or several.
    pub(super) fn header(&mut self, host: &mut HostEntry, name: &str, value: &Field<'_>) -> Result<(), String> {
        let values = self.want(value, "text or a list of it", value.texts())?;
        host.headers.extend(values.iter().map(|(text, _)| (name.to_string(), Arc::new(Secret::from(*text)))));
        Ok(())
    }
}
