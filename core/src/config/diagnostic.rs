//! What is wrong with a configuration, or would surprise: typed, with the file's name and what to do.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Other readers of this file do something else, or something is not used.
    Warning,
    /// Something that is configured cannot be used.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of diagnostic; the set grows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// The name in words with hyphens, stable.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// A file or directory that could not be read.
    Unreadable = "unreadable",
    /// A file that is named and does not exist, or was not given.
    Missing = "missing-file",
    /// A directory where a file should be.
    IsDirectory = "is-directory",
    /// A file where a directory should be.
    NotDirectory = "not-directory",
    /// A file with nothing in it.
    Empty = "empty",
    /// A file over the limit.
    TooLarge = "too-large",
    /// UTF-16, or no UTF-8 at all.
    Encoding = "encoding",
    /// A byte order mark, which other readers stumble over.
    ByteOrderMark = "byte-order-mark",
    /// A document that does not parse.
    Syntax = "syntax",
    /// A value of another type than the format says.
    WrongType = "wrong-type",
    /// A field that the format does not have.
    UnknownField = "unknown-field",
    /// A key that appears twice.
    DuplicateKey = "duplicate-key",
    /// A key that the format's own reader would ignore.
    IgnoredKey = "ignored-key",
    /// A name that is no host with an optional port, or no URL.
    BadHost = "bad-host",
    /// No PEM certificate where one is expected.
    NoCertificate = "no-certificate",
    /// A certificate that cannot be read.
    BrokenCertificate = "broken-certificate",
    /// No PEM key where one is expected.
    NoKey = "no-key",
    /// A key that cannot be read.
    BrokenKey = "broken-key",
    /// A client certificate without its key.
    CertificateWithoutKey = "certificate-without-key",
    /// A key without its certificate.
    KeyWithoutCertificate = "key-without-certificate",
    /// A key that does not belong to the certificate.
    KeyMismatch = "key-mismatch",
    /// An encrypted key.
    EncryptedKey = "encrypted-key",
    /// A key of a kind that cannot be used.
    UnsupportedKey = "unsupported-key",
    /// A certificate that has expired.
    Expired = "expired",
    /// A certificate that is not valid yet.
    NotYetValid = "not-yet-valid",
    /// A certificate whose extended key usage leaves out clients.
    NotForClients = "not-for-clients",
    /// `client = ["crt", "key"]`: two files with certificate and key in each, and not a pair.
    CombinedFiles = "combined-files",
    /// TLS settings of one entry that other readers do not apply to another entry of the same origin.
    HostTlsNotForServer = "host-tls-not-for-server",
    /// A switch with which other readers do not show the certificate.
    InsecureDropsIdentity = "insecure-drops-identity",
    /// Plain http, with which no certificate can be shown.
    PlainHttp = "plain-http",
    /// An identity for every registry: not shown without leave.
    WildcardIdentity = "wildcard-identity",
    /// A password for a pattern of registries: not sent without leave.
    WildcardPassword = "wildcard-password",
    /// A user without a password.
    UserWithoutPassword = "user-without-password",
    /// An empty user name.
    EmptyUser = "empty-user",
    /// Credentials that cannot be decoded.
    BrokenCredentials = "broken-credentials",
    /// Two kinds of credentials in one entry: which holds.
    SeveralCredentials = "several-credentials",
    /// Several keys for one registry: which holds.
    SeveralKeys = "several-keys",
    /// A credential that is for one path, and that other readers use for the whole host.
    PathScoped = "path-scoped",
    /// A helper that is asked instead of what the file holds.
    HelperInstead = "helper-instead",
    /// Something that other readers use, or keep for themselves, and that is not used here.
    NotUsed = "not-used",
    /// An entry that another one hides.
    Shadowed = "shadowed",
    /// Two sources that say different things of one origin: which holds.
    Conflict = "conflict",
    /// A header field that cannot be sent.
    BadHeader = "bad-header",
    /// Readers of this format differ; what is done here.
    ReadersDiffer = "readers-differ",
    /// Mirrors that lead to each other.
    CyclicMirrors = "cyclic-mirrors",
    /// A rewrite that cannot be used, or more than one.
    Rewrite = "rewrite",
    /// An entry that leaves nothing to ask.
    NoEndpoint = "no-endpoint",
    /// A pair that lends an identity where there is none, or names the same origin twice.
    UselessPair = "useless-pair",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of a key is shown, in characters: no name of a host is longer.
const MAX_NAME: usize = 255;

/// Where something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Place {
    /// The file.
    pub file: String,
    /// The key in it, dotted; empty for the file as a whole.
    pub key: String,
    /// The line, from 1, where the format gives one.
    pub line: Option<u32>,
}

impl Place {
    /// The file as a whole.
    pub fn file(name: impl Into<String>) -> Self {
        Self { file: name.into(), key: String::new(), line: None }
    }

    /// A field of the table that stands here.
    pub(crate) fn field(&self, name: &str, line: u32) -> Self {
        self.below(&shown(name), line)
    }

    /// What stands in this table under a name that is the user's.
    pub(crate) fn entry(&self, name: &str, line: u32) -> Self {
        self.below(&format!("\"{}\"", shown(name)), line)
    }

    fn below(&self, name: &str, line: u32) -> Self {
        let key = if self.key.is_empty() { name.to_string() } else { format!("{}.{name}", self.key) };
        Self { file: self.file.clone(), key, line: Some(line) }
    }

    /// Another line of the same.
    pub(crate) fn line(&self, line: u32) -> Self {
        Self { line: Some(line), ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.file.split(char::is_control).enumerate() {
            f.write_str(if at > 0 { "\u{fffd}" } else { "" })?;
            f.write_str(part)?;
        }
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.key.is_empty() { Ok(()) } else { write!(f, " ({})", self.key) }
    }
}

/// A key as it is shown. It may be a URL or a host with a password in front of it, as long as the file, and hold line ends.
fn shown(name: &str) -> String {
    let (scheme, rest) = name.split_at(name.find("://").map_or(0, |at| at + 3));
    let user = rest.rsplit_once('@').filter(|(_, after)| !scheme.is_empty() || !after.starts_with("sha"));
    let (hidden, rest) = user.map_or(("", rest), |(_, after)| ("\u{2026}@", after));
    let mut text: String = [scheme, hidden, rest].iter().flat_map(|part| part.chars()).take(MAX_NAME + 1).collect();
    if let Some((end, _)) = text.char_indices().nth(MAX_NAME) {
        text.truncate(end);
        text.push('\u{2026}');
    }
    text.replace(char::is_control, "\u{fffd}")
}

/// One finding. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind.
    pub code: Code,
    /// Where.
    pub place: Place,
    /// One sentence: what is so.
    pub what: String,
    /// One sentence: what to do.
    pub remedy: String,
}

impl Diagnostic {
    /// As a JSON object: `severity`, `code`, `file`, `key`, `line`, `what`, `remedy`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "severity": self.severity.as_str(),
            "code": self.code.as_str(),
            "file": self.place.file,
            "key": self.place.key,
            "line": self.place.line,
            "what": self.what,
            "remedy": self.remedy,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} [{}] {}", self.severity.as_str(), self.place, self.what, self.code, self.remedy)
    }
}
