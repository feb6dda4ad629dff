//! What this side refuses or cannot do: keys that do not sign, and pooled connections to addresses that may not be used.

use std::sync::Arc;

use regauth::tls::{Identity, SignError, Signer};
use regauth::{ErrorKind, Fault, Hop, Host};

use super::hops::{known, registry, token};
use super::socket::{reply, sized};
use super::world::{AUTH, Net, REG, WORLD, agent, origin};

const MANIFEST: &str = "https://reg.example/v2/app/manifests/1";

struct Locked;

impl Signer for Locked {
    fn schemes(&self) -> &[u16] {
        &[0x0403]
    }

    fn sign(&self, _: u16, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError("the token is locked".into()))
    }
}

/// The request does not go out without the certificate, and it is not the server that is at fault.
#[test]
fn a_key_that_does_not_sign_is_said() {
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap().self_signed(&key).unwrap();
    let locked = Identity::with_signer("pkcs11:object=me", leaf.pem().as_bytes(), Arc::new(Locked)).unwrap();
    let named = Identity::named("me.crt", [7; 32]);
    for (identity, what, remedy) in [
        (
            locked,
            "pkcs11:object=me: the signer did not sign: the token is locked (registry at https://reg.example)",
            "Check the token, agent or key service that holds the key.",
        ),
        (
            named,
            "me.crt: only the name of this identity is known, not its key (registry at https://reg.example)",
            "Make the identity from PEM, or with a signer.",
        ),
    ] {
        let mut net = Net::new();
        net.serve_with(REG, Arc::clone(&WORLD.lenient), |_| panic!("a request went out"));
        let agent = agent(|config| {
            let mut host = Host::default();
            host.identities = vec![identity.clone()];
            config.host(origin(REG), host);
        });
        let error = net.get(&agent, MANIFEST).error.unwrap();
        assert_eq!((error.what().as_str(), error.remedy().as_str()), (what, remedy));
        assert!(matches!(error.kind(), ErrorKind::Tls { .. }));
        assert_eq!((error.fault(), error.hop(), net.pooled()), (Fault::Local, Some(Hop::Registry), 0));
    }
}

/// The token service was reached as a registry of its own, at a private address. A public registry that names it does not
/// get there, not by the connection that is open either.
#[test]
fn a_pooled_connection_to_an_address_that_is_too_local_is_not_used() {
    let mut net = Net::new();
    net.serve(
        AUTH,
        |request| if request.target.starts_with("/token") { token(request) } else { reply(sized(200, "", "own")) },
    );
    net.serve(REG, registry("https://auth.example/token"));
    let agent = known(true);
    net.address = [10, 0, 0, 7];
    net.get(&agent, "https://auth.example/v2/").ok(200, "own");
    assert_eq!(net.pooled(), 1);
    net.address = [198, 51, 100, 7];
    net.get(&agent, MANIFEST).ok(200, "blob");
    assert_eq!(net.connections, 3, "a new one to the token service");
    let at = net.log.iter().position(|line| line == "warm https://auth.example").unwrap();
    assert_eq!(net.log[at + 1], "close https://auth.example", "{:?}", net.log);
}
