//! What importers are given: names and contents. Nothing here opens anything.

use std::collections::BTreeMap;
use std::fmt;

use crate::secret::Secret;

/// The largest file that is looked at, in bytes: system bundles of certificates are under 300 kB.
pub const MAX_FILE: usize = 4 << 20;
/// The most entries of one directory that are looked at.
pub const MAX_ENTRIES: usize = 10_000;

/// A file by name. The name is only shown, and tells where the names in the file are relative to.
#[derive(Debug)]
pub struct File {
    /// Its path, as people are to read it.
    pub name: String,
    /// What is in it.
    pub entry: Entry,
}

impl File {
    /// A file with these contents.
    pub fn new(name: impl Into<String>, contents: impl Into<Secret>) -> Self {
        Self { name: name.into(), entry: Entry::File(contents.into()) }
    }

    /// One that could not be read: why.
    pub fn unreadable(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), entry: Entry::Unreadable(why.into()) }
    }
}

/// What stands under a name.
#[non_exhaustive]
pub enum Entry {
    /// A file, with its bytes.
    File(Secret),
    /// A directory.
    Directory(Directory),
    /// Something that could not be read, and why in the words of the system.
    Unreadable(String),
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(contents) => write!(f, "File({} bytes)", contents.expose().len()),
            Self::Directory(directory) => directory.fmt(f),
            Self::Unreadable(why) => write!(f, "Unreadable({why:?})"),
        }
    }
}

/// A directory: names and contents, in the order of the names' bytes.
#[derive(Debug, Default)]
pub struct Directory {
    /// Its path, as people are to read it.
    pub name: String,
    /// What is in it.
    pub entries: BTreeMap<String, Entry>,
    /// Why it could not be read, in the words of the system; then there are no entries.
    pub unreadable: Option<String>,
}

impl Directory {
    /// An empty one.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// One that could not be read: why.
    pub fn unreadable(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), unreadable: Some(why.into()), ..Self::default() }
    }

    /// Adds a file. A name with `/` in it makes the directories between.
    pub fn add(&mut self, name: &str, contents: impl Into<Secret>) -> &mut Self {
        self.put(name, Entry::File(contents.into()))
    }

    /// Adds an entry, in the place of an earlier one of this name.
    pub fn put(&mut self, name: &str, entry: Entry) -> &mut Self {
        let Some((first, rest)) = name.split_once('/') else {
            self.entries.insert(name.into(), entry);
            return self;
        };
        let path = self.path(first);
        let inner = self.entries.entry(first.into()).or_insert_with(|| Entry::Directory(Self::new(path)));
        if let Entry::Directory(directory) = inner {
            directory.put(rest, entry);
        }
        self
    }

    /// The path of an entry.
    pub fn path(&self, entry: &str) -> String {
        if self.name.is_empty() { entry.into() } else { format!("{}/{entry}", self.name.trim_end_matches('/')) }
    }

    /// What stands under a relative path.
    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        let mut here = self;
        let mut parts = path.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
        while let Some(part) = parts.next() {
            let entry = here.entries.get(part)?;
            match (entry, parts.peek()) {
                (entry, None) => return Some(entry),
                (Entry::Directory(inner), Some(_)) => here = inner,
                _ => return None,
            }
        }
        None
    }
}

/// Files and directories that configuration files name: what is not here is listed by
/// [`Importer::wanted`](super::Importer::wanted).
#[derive(Debug, Default)]
pub struct Files(BTreeMap<String, Entry>);

impl Files {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what stands under a name, exactly as it was wanted.
    pub fn put(&mut self, name: impl Into<String>, entry: Entry) -> &mut Self {
        self.0.insert(name.into(), entry);
        self
    }

    /// Whether there is something under this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }
}

/// The bytes of a text without their byte order mark, and whether there was one. `None`: UTF-16.
pub(crate) fn without_mark(bytes: &[u8]) -> Option<(&[u8], bool)> {
    // Without a mark: a NUL at every second place of what begins as ASCII.
    let marked = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if marked || matches!(bytes, [0, b, ..] | [b, 0, ..] if *b != 0) {
        return None;
    }
    Some(bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).map_or((bytes, false), |rest| (rest, true)))
}
