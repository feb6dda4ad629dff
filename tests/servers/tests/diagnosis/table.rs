//! Server x version x case: the state, and the sentence that the user reads.

use std::net::SocketAddr;
use std::sync::Arc;

use regauth::Identity;
use regauth::error::CertificateState as State;
use regauth::server::SigningKey;
use regauth_servers::{Ask, Front, Kind, Pki, Program, Registry, Server, TempDir, Tls, entropy, have};

use super::client::{Outcome, agent, get, identity};
use super::rustls;

/// What the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// No certificate.
    None,
    /// One of a CA that the server does not name.
    Wrong,
    /// The same, sent all the same (`force`).
    Forced,
    /// One that has expired.
    Expired,
    /// The right one, and the server asks for it.
    Right,
    /// The right one, and the server never asks.
    Unasked,
}

impl Case {
    const REQUIRED: [Self; 5] = [Self::None, Self::Wrong, Self::Forced, Self::Expired, Self::Right];

    fn identities(self, pki: &Pki) -> Vec<Identity> {
        let pair = match self {
            Self::None => return Vec::new(),
            Self::Wrong | Self::Forced => &pki.wrong,
            Self::Expired => &pki.expired,
            Self::Right | Self::Unasked => &pki.client,
        };
        vec![identity(pair)]
    }

    const fn title(self) -> &'static str {
        match self {
            Self::None => "no certificate",
            Self::Wrong => "wrong CA",
            Self::Forced => "wrong CA, forced",
            Self::Expired => "expired",
            Self::Right => "right one",
            Self::Unasked => "never asked for",
        }
    }
}

/// The certificates and the registry behind the servers.
pub(crate) struct Ground {
    pub(crate) pki: Pki,
    pub(crate) upstream: Registry,
    // Goes last.
    _directory: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new("diagnosis").unwrap();
        let signing = Arc::new(SigningKey::generate(&entropy().unwrap()).unwrap());
        let pki = Pki::new(directory.path(), &signing).unwrap();
        let upstream = Registry::open(Kind::V2, &directory).unwrap();
        Self { pki, upstream, _directory: directory }
    }

    pub(crate) fn front(&self, server: Server, ask: Ask, tls: Tls) -> Front {
        Front::start(server, ask, tls, &self.pki, self.upstream.address).unwrap()
    }
}

pub(crate) const fn name(tls: Tls) -> &'static str {
    match tls {
        Tls::V12 => "1.2",
        Tls::V13 => "1.3",
    }
}

/// A fixed name in the place of what is another one in each run.
fn plain(text: &str, pki: &Pki, address: SocketAddr) -> String {
    text.replace(&pki.ca_name, "regauth test CA").replace(&format!(":{}", address.port()), ":PORT")
}

fn cell(ground: &Ground, server: &str, tls: Tls, case: Case, address: SocketAddr, host: &str, expected: Option<State>) {
    let origin = format!("https://{host}:{}", address.port());
    let agent = agent(&ground.pki, &origin, case.identities(&ground.pki), |host| host.force = case == Case::Forced);
    let outcome = get(&agent, address, &format!("{origin}/v2/"));
    let said = plain(&outcome.said(), &ground.pki, address);
    let state = match outcome.state() {
        Some(State::Rejected { alert }) => format!("rejected({alert})"),
        Some(State::RejectedOverHttp { status }) => format!("rejected-over-http({status})"),
        Some(state) => state.as_str().into(),
        None => "-".into(),
    };
    println!("| {server} | {} | {} | {state} | {said} |", name(tls), case.title());
    assert_eq!(outcome.state(), expected, "{server} {tls:?} {case:?}: {said}");
    check(&outcome, case, &said);
}

/// What every sentence has to say.
fn check(outcome: &Outcome, case: Case, said: &str) {
    if outcome.status == Some(200) && case == Case::Right {
        return;
    }
    let Some(state) = outcome.state() else {
        assert!(said.contains("the server had asked for a client certificate; it asked for one issued by"), "{said}");
        return;
    };
    let asked = !matches!(state, State::NotAsked | State::AskedLate | State::RejectedOverHttp { status: 421 });
    let parts: &[&str] = match case {
        _ if !asked => &[],
        Case::None => &["issued by CN=regauth test CA", "none is configured for it", "Configure a client certificate"],
        Case::Wrong => &[
            "it asked for one issued by CN=regauth test CA",
            "wrong.crt was issued by CN=regauth wrong CA",
            "none was sent",
            "of an issuer that the server names",
        ],
        Case::Forced => &["wrong.crt, issued by CN=regauth wrong CA", "was sent", "trusts the certificate's issuer"],
        Case::Expired => &["expired.crt, issued by CN=regauth test CA, was sent, and it has expired 5 h ago", "Renew"],
        Case::Right | Case::Unasked => &[],
    };
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
}

/// `required`: the states without a certificate, with one of another CA that was sent, and with an expired one.
fn rows(ground: &Ground, title: &str, tls: Tls, addresses: [SocketAddr; 2], states: [Option<State>; 3]) {
    let [required, unasked] = addresses;
    for case in Case::REQUIRED {
        let expected = match case {
            Case::None | Case::Wrong => states[0],
            Case::Forced => states[1],
            Case::Expired => states[2],
            Case::Right | Case::Unasked => None,
        };
        cell(ground, title, tls, case, required, "localhost", expected);
    }
    cell(ground, title, tls, Case::Unasked, unasked, "localhost", Some(State::NotAsked));
}

#[test]
fn every_state_of_every_server_is_said() {
    use Server::{Apache, Caddy, Go, GoReset, Nginx, Openssl};
    let servers = [Nginx, Apache, Caddy, Go, GoReset, Openssl];
    let programs: Vec<_> = servers.iter().map(|server| server.program()).chain([Program::Registry28]).collect();
    if !have(&programs) {
        return;
    }
    let ground = Ground::new();
    let rejected = |alert| Some(State::Rejected { alert });
    println!("| server | TLS | client has | state | the user reads |\n|---|---|---|---|---|");
    for tls in [Tls::V12, Tls::V13] {
        let newer = tls == Tls::V13;
        let over_http = Some(State::RejectedOverHttp { status: 400 });
        for server in servers {
            let fronts = [Ask::Required, Ask::No].map(|ask| ground.front(server, ask, tls));
            let states = match server {
                Nginx => [over_http; 3],
                Caddy => [Some(State::Required), rejected(42), rejected(42)],
                // In TLS 1.2 the handshake breaks, which may have any reason; the facts are said all the same.
                GoReset if newer => [Some(State::ProbablyRejected); 3],
                GoReset => [None; 3],
                _ => [Some(State::Required), rejected(48), rejected(45)],
            };
            let title = format!("{server:?}");
            rows(&ground, &title, tls, [fronts[0].address, fronts[1].address], states);
            if server == Caddy {
                let refused = Some(State::RejectedOverHttp { status: 421 });
                let title = "Caddy by address";
                for case in [Case::None, Case::Right] {
                    cell(&ground, title, tls, case, fronts[0].address, "127.0.0.1", refused);
                }
            }
        }
        let rustls = [Ask::Required, Ask::No].map(|ask| rustls::start(ask, tls, &ground.pki));
        rows(&ground, "rustls", tls, rustls, [Some(State::Required), rejected(48), rejected(45)]);
        let location = ground.front(Apache, Ask::Location, tls);
        for case in [Case::None, Case::Right] {
            let late = Some(State::AskedLate);
            cell(&ground, "Apache, one path", tls, case, location.address, "localhost", late);
        }
    }
}
