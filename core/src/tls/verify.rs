//! Whether a server's certificate is accepted, and rustls's errors in our words.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, HandshakeType, InvalidMessage, PeerIncompatible,
    PeerMisbehaved, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::x509::Facts;
use super::{Roots, ServerFlaw, TlsError};
use crate::time::Time;

/// Checks a server's certificate against the roots of one profile, or accepts any.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// `None`: `skip_verify`.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    /// The given roots themselves.
    given: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(crate) fn new(roots: &Roots, skip: bool, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let algorithms = provider.signature_verification_algorithms;
        if skip {
            return Ok(Self { webpki: None, given: Vec::new(), algorithms });
        }
        let mut store = RootCertStore::empty();
        if roots.webpki {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let mut given = Vec::new();
        for (index, pem) in roots.pem.iter().enumerate() {
            let before = store.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| TlsError::Roots(index))?;
                // Bundles of systems hold a few that are too odd to be an anchor: the others count.
                if store.add(certificate.clone()).is_ok() {
                    given.push(certificate);
                }
            }
            if store.len() == before {
                return Err(TlsError::Roots(index));
            }
        }
        if store.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
            .build()
            .map_err(|_| TlsError::NoRoots)?;
        Ok(Self { webpki: Some(webpki), given, algorithms })
    }

    /// A certificate that was given as a root is trusted as a server's too. webpki refuses an authority in that place,
    /// and what `openssl req -x509` makes is one: Docker's own instructions have its users put it there.
    fn is_given(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<bool, Error> {
        if !self.given.iter().any(|given| given.as_ref() == leaf.as_ref()) {
            return Ok(false);
        }
        let facts = Facts::read(leaf).ok_or(CertificateError::BadEncoding)?;
        let now = Time(now.as_secs().saturating_mul(1000));
        if now < facts.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > facts.not_after {
            let seconds = std::time::Duration::from_millis(facts.not_after.0);
            let not_after = UnixTime::since_unix_epoch(seconds);
            let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.0));
            return Err(CertificateError::ExpiredContext { time, not_after }.into());
        }
        verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
        Ok(true)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(webpki) = &self.webpki else { return Ok(ServerCertVerified::assertion()) };
        match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(_) if self.is_given(end_entity, server_name, now)? => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// An error of rustls in our words. `first`: nothing of the server's was understood so far.
pub(crate) fn tls_error(error: Error, first: bool) -> TlsError {
    match error {
        Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsError::NoCommonVersion,
        Error::AlertReceived(alert) => TlsError::Alert(u8::from(alert)),
        Error::InvalidCertificate(flaw) => TlsError::Server(server_flaw(flaw)),
        Error::NoCertificatesPresented => TlsError::Server(ServerFlaw::Broken("it was not sent".into())),
        Error::UnsupportedNameType => TlsError::ServerName(String::new()),
        Error::FailedToGetCurrentTime => TlsError::NoTime,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => TlsError::NoCommonVersion,
        Error::PeerIncompatible(what) => TlsError::Incompatible(format!("{what:?}")),
        Error::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests)
        | Error::InappropriateHandshakeMessage { got_type: HandshakeType::CertificateRequest, .. } => {
            TlsError::LateRequest
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) if first => TlsError::NotTls,
        other => TlsError::Protocol(other.to_string()),
    }
}

fn server_flaw(flaw: CertificateError) -> ServerFlaw {
    let millis = |time: UnixTime| Time(time.as_secs().saturating_mul(1000));
    match flaw {
        CertificateError::UnknownIssuer => ServerFlaw::Untrusted,
        CertificateError::Expired => ServerFlaw::Expired { not_after: None },
        CertificateError::ExpiredContext { not_after, .. } => {
            ServerFlaw::Expired { not_after: Some(millis(not_after)) }
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => ServerFlaw::NotYetValid,
        CertificateError::NotValidForName => ServerFlaw::WrongName { presented: Vec::new() },
        CertificateError::NotValidForNameContext { presented, .. } => {
            ServerFlaw::WrongName { presented: presented.iter().map(|name| plain(name)).collect() }
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => ServerFlaw::Purpose,
        other => ServerFlaw::Broken(other.to_string()),
    }
}

/// `DnsName("reg.example")` and `IpAddress(192.0.2.1)`, which is how rustls writes names, without what is round them.
fn plain(name: &str) -> String {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inside.trim_matches('"').into()
}
