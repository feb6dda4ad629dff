//! The client's certificate, after the TLS stack has verified it, and the SPIFFE id in it.

use std::fmt;

use p256::pkcs8::der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use p256::pkcs8::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};
use sha2::{Digest as _, Sha256};

use crate::time::Time;

/// Who has verified a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The TLS stack of this host, on this connection.
    Tls,
    /// A proxy, which says so in a header field (RFC 9440 and its kin). It counts only where that is configured.
    Proxy,
}

/// Why a certificate is no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerError {
    /// Not a DER certificate (RFC 5280).
    Certificate,
    /// It may issue certificates, so it is nobody's own.
    Authority,
    /// A SPIFFE certificate has exactly one URI in its subject alternative names.
    Uris(usize),
    /// The URI is no SPIFFE id with a path.
    Spiffe,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => f.write_str("the bytes are no DER certificate; give the leaf that was verified"),
            Self::Authority => f.write_str("the certificate is an authority's; give each client one of its own"),
            Self::Uris(count) => {
                write!(f, "the certificate has {count} URIs and SPIFFE wants one; issue it with one")
            }
            Self::Spiffe => f.write_str("the URI is no SPIFFE id; use one such as spiffe://example.org/builder/1"),
        }
    }
}

impl std::error::Error for PeerError {}

/// A client certificate that was verified: chain, times, key usage and possession of the key.
///
/// None of that can be done here. Give the leaf of a chain that the TLS stack has *verified*; one that was merely
/// asked for (`RequestClientCert`, `optional_no_ca`) proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    sha256: [u8; 32],
    source: Source,
    facts: Facts,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    uris: Vec<String>,
    dns: Vec<String>,
    cn: Option<String>,
    not_after: Option<Time>,
    authority: bool,
    spki: Vec<u8>,
}

impl Peer {
    /// The leaf's DER, verified by `source`.
    pub fn from_verified_der(leaf: &[u8], source: Source) -> Result<Self, PeerError> {
        let facts = Facts::read(leaf).ok_or(PeerError::Certificate)?;
        Ok(Self { sha256: Sha256::digest(leaf).into(), source, facts })
    }

    /// A leaf of which a proxy passes on only the SHA-256 of its DER. It has no names.
    pub fn from_proxy_sha256(sha256: [u8; 32]) -> Self {
        Self { sha256, source: Source::Proxy, facts: Facts::default() }
    }

    /// SHA-256 of the DER: what tokens are bound to.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Who has verified it.
    pub const fn source(&self) -> Source {
        self.source
    }

    /// The URIs among its subject alternative names, in order.
    pub fn uris(&self) -> &[String] {
        &self.facts.uris
    }

    /// The DNS names among its subject alternative names, in order.
    pub fn dns_names(&self) -> &[String] {
        &self.facts.dns
    }

    /// The subject's common name, if there is exactly one. Nothing here takes it for an identity: anybody's CA writes
    /// what it likes there, so use it only with a CA that issues nothing else.
    pub fn common_name(&self) -> Option<&str> {
        self.facts.cn.as_deref()
    }

    /// When it ends, where that is known.
    pub const fn not_after(&self) -> Option<Time> {
        self.facts.not_after
    }

    /// Its SPIFFE id (X509-SVID section 5.2): the only URI of a certificate that cannot issue others.
    pub fn spiffe(&self) -> Result<SpiffeId, PeerError> {
        if self.facts.authority {
            return Err(PeerError::Authority);
        }
        match self.facts.uris.as_slice() {
            [uri] => SpiffeId::parse(uri).filter(|id| !id.path.is_empty()).ok_or(PeerError::Spiffe),
            uris => Err(PeerError::Uris(uris.len())),
        }
    }
}

/// `spiffe://trust-domain/path` (SPIFFE-ID section 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    domain: String,
    path: Vec<String>,
}

impl SpiffeId {
    /// Reads one; at most 2048 bytes, nothing trimmed, decoded or lower-cased.
    pub fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("spiffe://").filter(|_| uri.len() <= 2048)?;
        let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if domain.is_empty() || domain.len() > 255 || !domain.bytes().all(lower) {
            return None;
        }
        let path: Vec<String> = path.map(|path| path.split('/').map(str::to_string).collect()).unwrap_or_default();
        let segment = |segment: &String| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            !matches!(segment.as_str(), "" | "." | "..") && segment.bytes().all(plain)
        };
        path.iter().all(segment).then(|| Self { domain: domain.into(), path })
    }

    /// The trust domain: lower case.
    pub fn trust_domain(&self) -> &str {
        &self.domain
    }

    /// The path's segments; none for a trust domain's own id.
    pub fn path(&self) -> &[String] {
        &self.path
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}", self.domain)?;
        self.path.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

/// The SubjectPublicKeyInfo of a certificate, both DER.
pub(super) fn spki_of(certificate: &[u8]) -> Option<Vec<u8>> {
    Facts::read(certificate).map(|facts| facts.spki)
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

impl Facts {
    /// RFC 5280 section 4.1; strict DER, nothing before or after it.
    fn read(der: &[u8]) -> Option<Self> {
        let certificate = items(AnyRef::from_der(der).ok()?, Tag::Sequence)?;
        let [tbs, _algorithm, _signature] = certificate.as_slice() else { return None };
        let mut fields = items(*tbs, Tag::Sequence)?.into_iter().peekable();
        fields.next_if(|field| context(field.tag()) == Some(0));
        let (_serial, _algorithm, _issuer) = (fields.next()?, fields.next()?, fields.next()?);
        let validity = items(fields.next()?, Tag::Sequence)?;
        let [_, not_after] = validity.as_slice() else { return None };
        let mut facts = Self { not_after: Some(time(*not_after)?), ..Self::default() };
        facts.cn = common_name(fields.next()?)?;
        let spki = fields.next()?;
        spki.tag().assert_eq(Tag::Sequence).ok()?;
        facts.spki = spki.to_der().ok()?;
        // issuerUniqueID and subjectUniqueID, which nobody has; then the extensions, and nothing else.
        (1..=2).for_each(|number| _ = fields.next_if(|field| context(field.tag()) == Some(number)));
        if let Some(field) = fields.next_if(|field| context(field.tag()) == Some(3)) {
            facts.extensions(AnyRef::from_der(field.value()).ok()?)?;
        }
        if fields.next().is_some() {
            return None;
        }
        Some(facts)
    }

    fn extensions(&mut self, list: AnyRef<'_>) -> Option<()> {
        let mut seen: Vec<&[u8]> = Vec::new();
        for extension in items(list, Tag::Sequence)? {
            let parts = items(extension, Tag::Sequence)?;
            let (id, value) = match parts.as_slice() {
                [id, value] => (id, value),
                [id, critical, value] if critical.tag() == Tag::Boolean => (id, value),
                _ => return None,
            };
            let id = body(*id, Tag::ObjectIdentifier)?;
            if seen.contains(&id) {
                return None;
            }
            seen.push(id);
            let value = AnyRef::from_der(body(*value, Tag::OctetString)?).ok();
            match id {
                ALTERNATIVE_NAMES => self.names(value?)?,
                BASIC_CONSTRAINTS => {
                    self.authority |=
                        items(value?, Tag::Sequence)?.first().is_some_and(|first| first.tag() == Tag::Boolean);
                }
                // The first octet counts unused bits; then bit 5 is keyCertSign, bit 6 cRLSign.
                KEY_USAGE => {
                    self.authority |= body(value?, Tag::BitString)?.get(1).is_some_and(|bits| bits & 0b0000_0110 != 0);
                }
                _ => {}
            }
        }
        Some(())
    }

    fn names(&mut self, list: AnyRef<'_>) -> Option<()> {
        for name in items(list, Tag::Sequence)? {
            let ascii = || std::str::from_utf8(name.value()).ok().filter(|text| text.is_ascii()).map(str::to_string);
            match context(name.tag()) {
                Some(2) => self.dns.push(ascii()?),
                Some(6) => self.uris.push(ascii()?),
                _ => {}
            }
        }
        Some(())
    }
}

/// The only common name; `None` where the name is none, `Some(None)` where there is not exactly one.
fn common_name(name: AnyRef<'_>) -> Option<Option<String>> {
    let mut found = Vec::new();
    for set in items(name, Tag::Sequence)? {
        for pair in items(set, Tag::Set)? {
            let pair = items(pair, Tag::Sequence)?;
            let [id, value] = pair.as_slice() else { return None };
            if body(*id, Tag::ObjectIdentifier)? == COMMON_NAME {
                let text = matches!(value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String);
                found.push(std::str::from_utf8(value.value()).ok().filter(|_| text).map(str::to_string));
            }
        }
    }
    Some(if found.len() == 1 { found.pop().flatten() } else { None })
}

fn time(value: AnyRef<'_>) -> Option<Time> {
    let since = match value.tag() {
        Tag::UtcTime => value.decode_as::<UtcTime>().ok()?.to_unix_duration(),
        _ => value.decode_as::<GeneralizedTime>().ok()?.to_unix_duration(),
    };
    Some(Time(0).plus_seconds(since.as_secs()))
}

fn context(tag: Tag) -> Option<u8> {
    match tag {
        Tag::ContextSpecific { number, .. } => Some(TagNumber::value(number)),
        _ => None,
    }
}

fn body<'a>(value: AnyRef<'a>, tag: Tag) -> Option<&'a [u8]> {
    (value.tag() == tag).then(|| value.value())
}

/// The elements of a sequence or a set.
fn items<'a>(value: AnyRef<'a>, tag: Tag) -> Option<Vec<AnyRef<'a>>> {
    let mut reader = SliceReader::new(body(value, tag)?).ok()?;
    let mut items = Vec::new();
    while !reader.is_finished() {
        items.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(items)
}
