//! The importer: what all formats share. Reads documents, certificates and keys, and says what is wrong with them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::diagnostic::{Code, Place, Severity};
use super::directory::{Directory, Entry, File, Files, MAX_ENTRIES, MAX_FILE, without_mark};
use super::field::Base;
use super::model::{Authority, HostEntry, IdentityEntry, Model};
use super::names;
use super::regauth_toml::Own;
use super::tree::{Document, Flaw, Node};
use crate::secret::Secret;
use crate::time::Time;
use crate::tls::Identity;

/// Reads configuration files of several formats into one [`Model`].
///
/// Each call is one source; what an earlier source says holds before a later one's.
///
/// ```
/// use regauth::config::{Directory, Importer};
/// use regauth::{Agent, Reference};
///
/// let mut certs = Directory::new("/etc/docker/certs.d");
/// certs.add("reg.example:5000/ca.crt", "no certificate in here");
/// let mut importer = Importer::new();
/// importer.docker_certs(&certs);
/// let (config, diagnostics) = importer.finish().into_config();
/// assert_eq!(diagnostics[0].code.as_str(), "no-certificate");
/// assert_eq!(diagnostics[0].place.file, "/etc/docker/certs.d/reg.example:5000/ca.crt");
/// let agent = Agent::new(config).unwrap();
/// # let _ = agent;
/// ```
#[derive(Debug, Default)]
pub struct Importer {
    pub(super) files: Arc<Files>,
    pub(super) now: Option<Time>,
    pub(super) model: Model,
    pub(super) sources: u32,
    windows: bool,
    wanted: BTreeSet<String>,
    pub(super) own: Own,
    /// What was read of certificate authorities, each once.
    authorities: HashSet<Arc<[u8]>>,
}

/// Bytes and the name that they are shown under; `Err`: the sentence of what is wrong, which was said already.
pub(super) type Loaded = Result<(String, Secret), String>;

impl Importer {
    /// An importer without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The files that the configuration names outside of the directories it is in. Run the imports once without them, and
    /// again with all that [`Self::wanted`] lists.
    #[must_use]
    pub fn files(mut self, files: Files) -> Self {
        self.files = Arc::new(files);
        self
    }

    /// The time at which certificates are looked at; without it none has expired.
    #[must_use]
    pub const fn now(mut self, now: Time) -> Self {
        self.now = Some(now);
        self
    }

    /// Whether directories are named as on Windows, where the name of a registry stands without its colons.
    #[must_use]
    pub const fn windows(mut self, windows: bool) -> Self {
        self.windows = windows;
        self
    }

    /// Files and directories that were named and were not given; each has a diagnostic `missing-file`.
    pub fn wanted(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().map(String::as_str)
    }

    /// What was imported.
    pub fn finish(mut self) -> Model {
        super::lint::whole(&mut self.model);
        // One file may be named in several places.
        let mut said = HashSet::new();
        self.model.diagnostics.retain(|one| said.insert(one.clone()));
        self.model
    }

    /// The entries of a directory of registries by their names, with their paths. No more than anyone has on purpose.
    pub(super) fn registries_in<'a>(&self, root: &'a Directory) -> Vec<(Cow<'a, str>, String, &'a Entry)> {
        let mut all = Vec::new();
        for (name, entry) in root.entries.iter().take(MAX_ENTRIES) {
            let others = if self.windows { names::without_colon(name) } else { Vec::new() };
            if others.is_empty() || names::registry(name).is_some() {
                all.push((Cow::from(name), root.path(name), entry));
            }
            all.extend(others.into_iter().map(|other| (Cow::from(other), root.path(name), entry)));
        }
        all
    }

    pub(super) fn say(&mut self, severity: Severity, code: Code, at: &Place, what: &str, remedy: &str) {
        self.model.say(severity, code, at, what, remedy);
    }

    pub(super) fn error(&mut self, code: Code, at: &Place, what: &str, remedy: &str) {
        self.say(Severity::Error, code, at, what, remedy);
    }

    pub(super) fn warn(&mut self, code: Code, at: &Place, what: &str, remedy: &str) {
        self.say(Severity::Warning, code, at, what, remedy);
    }

    /// The bytes of an entry that should be a file.
    pub(super) fn entry(&mut self, name: &str, entry: Option<&Entry>) -> Loaded {
        let at = Place::file(name);
        let (code, what, remedy) = match entry {
            Some(Entry::File(contents)) if contents.expose().len() > MAX_FILE => {
                (Code::TooLarge, format!("larger than {MAX_FILE} bytes"), "Give the file that is meant.")
            }
            Some(Entry::File(contents)) => return Ok((name.into(), contents.duplicate())),
            Some(Entry::Directory(Directory { unreadable: None, .. })) => {
                (Code::IsDirectory, "a directory where a file should be".into(), "Give a file of this name.")
            }
            Some(Entry::Unreadable(why) | Entry::Directory(Directory { unreadable: Some(why), .. })) => (
                Code::Unreadable,
                format!("it cannot be read: {why}"),
                "Make it readable for the user that this program runs as.",
            ),
            None => {
                self.wanted.insert(name.into());
                (Code::Missing, "the file does not exist or was not given".into(), "Create it, or correct its name.")
            }
        };
        self.error(code, &at, &what, remedy);
        Err(format!("{name}: {what}"))
    }

    /// An entry that should be a directory; `wrong`: what is said of a file.
    pub(super) fn directory<'a>(
        &mut self,
        name: &str,
        entry: Option<&'a Entry>,
        wrong: (&str, &str),
    ) -> Result<&'a Directory, String> {
        match entry {
            Some(Entry::Directory(directory)) if directory.unreadable.is_none() => Ok(directory),
            Some(Entry::File(_)) => {
                self.error(Code::NotDirectory, &Place::file(name), wrong.0, wrong.1);
                Err(format!("{name}: {}", wrong.0))
            }
            other => Err(self.entry(name, other).err().unwrap_or_default()),
        }
    }

    /// A file that a document names.
    pub(super) fn named(&mut self, base: Base<'_>, name: &str) -> Loaded {
        let shown = base.path(name);
        if let Some(directory) = base.directory {
            let folder = directory.name.trim_end_matches('/');
            let inside = shown.strip_prefix(folder).filter(|rest| directory.name.is_empty() != rest.starts_with('/'));
            if let Some(entry) = inside.and_then(|path| directory.get(path)) {
                return self.entry(&shown, Some(entry));
            }
        }
        let files = Arc::clone(&self.files);
        self.entry(&shown, files.get(&shown))
    }

    /// The document in a file, the first one where there are several. `None`: there is none. `Err`: it cannot be read,
    /// which was said; the sentence.
    pub(super) fn document(
        &mut self,
        file: &File,
        read: fn(&str) -> Result<Document, Flaw>,
        twice: Severity,
    ) -> Result<Option<Node>, String> {
        let Some(document) = self.documents(file, read, twice)? else { return Ok(None) };
        if let Some(second) = document.more.first() {
            let at = Place::file(&*file.name).line(second.line);
            let what = "another document begins here, and only the first one of a file is read";
            self.warn(Code::IgnoredKey, &at, what, "Put all of it into one document.");
        }
        Ok(Some(document.root))
    }

    /// All documents in a file.
    pub(super) fn documents(
        &mut self,
        file: &File,
        read: fn(&str) -> Result<Document, Flaw>,
        twice: Severity,
    ) -> Result<Option<Document>, String> {
        let (name, bytes) = self.entry(&file.name, Some(&file.entry))?;
        let at = Place::file(&*name);
        let mark =
            ("it begins with a byte order mark, at which other readers stop", "Save it as UTF-8 without a mark.");
        let text = self.text(&at, bytes.expose(), mark)?;
        let text = std::str::from_utf8(text).map_err(|_| self.encoding(&at, "it is not UTF-8", "Save it as UTF-8."))?;
        if text.trim().is_empty() {
            self.warn(Code::Empty, &at, "there is nothing in it", "Remove it, or write it again.");
            return Ok(None);
        }
        match read(text) {
            Ok(document) => {
                for key in &document.twice {
                    let at = at.field(&key.text, key.line);
                    self.say(
                        twice,
                        Code::DuplicateKey,
                        &at,
                        "the key appears twice in one table, and readers differ in which of them holds",
                        "Keep one of them.",
                    );
                }
                Ok(Some(document))
            }
            Err(Flaw { line, what }) => {
                let at = Place { line, ..at };
                self.error(
                    Code::Syntax,
                    &at,
                    &format!("it does not parse: {what}"),
                    "Correct it; nothing of it is used, and nothing else in its place.",
                );
                Err(format!("{at} does not parse: {what}"))
            }
        }
    }

    /// The bytes of a text without a byte order mark, for which `mark` is said. Comments round PEM may be in any 8-bit
    /// encoding.
    fn text<'a>(&mut self, at: &Place, bytes: &'a [u8], mark: (&str, &str)) -> Result<&'a [u8], String> {
        let Some((text, marked)) = without_mark(bytes) else {
            return Err(self.encoding(at, "it is UTF-16", "Save it as UTF-8 without a byte order mark."));
        };
        if marked {
            self.warn(Code::ByteOrderMark, at, mark.0, mark.1);
        }
        Ok(text)
    }

    fn encoding(&mut self, at: &Place, what: &str, remedy: &str) -> String {
        self.error(Code::Encoding, at, what, remedy);
        format!("{at}: {what}")
    }

    fn pem<'a>(&mut self, name: &str, bytes: &'a Secret) -> Result<&'a [u8], String> {
        let what = "it begins with a byte order mark, for which other readers skip the first block";
        self.text(&Place::file(name), bytes.expose(), (what, "Save it as ASCII."))
    }

    /// Adds certificate authorities to an entry.
    pub(super) fn authority(&mut self, host: &mut HostEntry, loaded: Loaded) {
        let Ok((file, bytes)) = loaded else { return };
        let Ok(pem) = self.pem(&file, &bytes) else { return };
        let at = Place::file(&*file);
        // One bundle may be named for many hosts.
        if let Some(pem) = self.authorities.get(pem).map(Arc::clone) {
            return host.ca.push(Authority { pem, file });
        }
        match count_certificates(pem) {
            Ok(0) => self.error(
                Code::NoCertificate,
                &at,
                "there is no PEM certificate in it",
                "Give certificates as PEM (openssl x509 -inform der -in FILE -out FILE.crt makes PEM of DER).",
            ),
            Ok(_) => {
                let pem: Arc<[u8]> = pem.into();
                self.authorities.insert(Arc::clone(&pem));
                host.ca.push(Authority { pem, file });
            }
            Err(number) => self.error(
                Code::BrokenCertificate,
                &at,
                &format!("certificate {number} in it cannot be read"),
                "Export it again.",
            ),
        }
    }

    /// Adds a client certificate to an entry; where that cannot be, the entry is unusable.
    pub(super) fn identity(&mut self, host: &mut HostEntry, certificate: Loaded, key: Loaded, place: &Place) {
        let made = certificate.and_then(|(certificate, chain)| {
            let (key, secret) = key?;
            let chain = self.pem(&certificate, &chain)?;
            let secret = self.pem(&key, &secret)?;
            match make_identity(&certificate, chain, secret) {
                Ok(identity) => {
                    super::lint::identity(self, &identity);
                    Ok(IdentityEntry { identity, certificate, key, place: place.clone() })
                }
                Err((code, of_key, what, remedy)) => {
                    let file = if of_key { &key } else { &certificate };
                    self.error(code, &Place::file(&**file), &what, &remedy);
                    Err(format!("{file}: {what}"))
                }
            }
        });
        match made {
            Ok(identity) => host.identities.push(identity),
            Err(why) => host.fail(why),
        }
    }
}

/// How many certificates there are; `Err`: the place of one that cannot be read, from 1.
#[cfg(feature = "pem")]
fn count_certificates(pem: &[u8]) -> Result<usize, usize> {
    crate::tls::certificates(pem).map(|all| all.len())
}

#[cfg(not(feature = "pem"))]
fn count_certificates(pem: &[u8]) -> Result<usize, usize> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    Ok(pem.windows(BEGIN.len()).filter(|window| *window == BEGIN).count())
}

/// Code, whether the key is at fault, what, remedy.
type Failed = (Code, bool, String, String);

#[cfg(feature = "pem")]
fn make_identity(label: &str, chain: &[u8], key: &[u8]) -> Result<Identity, Failed> {
    use crate::tls::IdentityFlaw as F;
    Identity::from_pem(label, chain, key).map_err(|error| {
        let (code, of_key) = match &error.flaw {
            F::NoCertificate => (Code::NoCertificate, false),
            F::Certificate(_) => (Code::BrokenCertificate, false),
            F::NoKey => (Code::NoKey, true),
            F::EncryptedKey => (Code::EncryptedKey, true),
            F::Key => (Code::BrokenKey, true),
            F::KeyMismatch { .. } => (Code::KeyMismatch, true),
            _ => (Code::UnsupportedKey, true),
        };
        let what = error.what();
        let what = what.strip_prefix(label).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&what);
        (code, of_key, what.to_string(), error.remedy().to_string())
    })
}

/// Without the feature only the name and the fingerprint are kept, for the host's TLS.
#[cfg(not(feature = "pem"))]
fn make_identity(label: &str, chain: &[u8], key: &[u8]) -> Result<Identity, Failed> {
    use base64::Engine as _;
    use sha2::Digest as _;
    let holds = |pem: &[u8], text: &str| String::from_utf8_lossy(pem).contains(text);
    if !holds(key, "PRIVATE KEY-----") {
        let remedy = "Give the PEM key that belongs to the certificate.";
        return Err((Code::NoKey, true, "there is no PEM key in it".into(), remedy.into()));
    }
    let text = String::from_utf8_lossy(chain);
    let body = text.split_once("-----BEGIN CERTIFICATE-----").and_then(|(_, rest)| rest.split_once("-----END"));
    let der = body.and_then(|(body, _)| {
        let base64: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        base64::engine::general_purpose::STANDARD.decode(base64).ok()
    });
    match der {
        Some(der) => Ok(Identity::named(label, sha2::Sha256::digest(der).into())),
        None => Err((
            Code::NoCertificate,
            false,
            "there is no PEM certificate in it".into(),
            "Give the chain as PEM, leaf first.".into(),
        )),
    }
}
