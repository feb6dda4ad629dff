//! One authority, a server and two clients; also as files for the peers.

use std::path::Path;

use openssl::rsa::Rsa;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) const HOST: &str = "registry.example";

pub(crate) struct Leaf {
    pub(crate) chain: String,
    pub(crate) key: String,
}

pub(crate) struct Pki {
    pub(crate) ca: String,
    pub(crate) server: Leaf,
    pub(crate) p256: Leaf,
    pub(crate) rsa: Leaf,
}

impl Pki {
    pub(crate) fn new(files: &Path) -> Self {
        let mut ca = params("Bench CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = ca.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(ca, key);
        let rsa = Rsa::generate(2048).and_then(openssl::pkey::PKey::from_rsa).expect("a key");
        let rsa = String::from_utf8(rsa.private_key_to_pem_pkcs8().expect("a key")).expect("PEM");
        let pki = Self {
            ca: pem,
            server: leaf(&issuer, HOST, KeyPair::generate().expect("a key")),
            p256: leaf(&issuer, "client", KeyPair::generate().expect("a key")),
            rsa: leaf(&issuer, "client", KeyPair::from_pem(&rsa).expect("a key")),
        };
        let write = |name: &str, text: &str| std::fs::write(files.join(name), text).expect("a temporary file");
        write("ca.pem", &pki.ca);
        for (name, leaf) in [("server", &pki.server), ("p256", &pki.p256), ("rsa", &pki.rsa)] {
            write(&format!("{name}.pem"), &leaf.chain);
            write(&format!("{name}.key"), &leaf.key);
        }
        pki
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_lowercase().replace(' ', "-")]).expect("a name");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn leaf(issuer: &Issuer<'_, KeyPair>, name: &str, key: KeyPair) -> Leaf {
    let mut params = params(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    Leaf { chain: certificate.pem(), key: key.serialize_pem() }
}

impl Leaf {
    pub(crate) fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (certificates(&self.chain), PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key"))
    }
}

pub(crate) fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("a certificate")).collect()
}
