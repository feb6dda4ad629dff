//! Layer b beside rustls by hand, Go and OpenSSL. A connection is in memory; only what the client spends counts, so
//! the server, which is rustls for all but Go, does its part off the watch.

mod clients;

use std::sync::Arc;

use regauth::tls::Provider;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::go::Go;
use crate::meter::{Cost, Watch};
use crate::pki::{Leaf, Pki, certificates};
use crate::table::{Group, other, ours};
use clients::{Client, OpenSsl, Ours, Raw};

/// Makes connections with what was set up once: identity, roots, remembered sessions.
type Factory<'a> = Box<dyn FnMut() -> Box<dyn Client> + 'a>;

pub(crate) fn all(go: &Go, pki: &Pki) {
    for (title, leaf, key) in [("P-256", &pki.p256, "p256"), ("RSA-2048", &pki.rsa, "rsa")] {
        let goal = "our cost <= 3 % over rustls with the same provider";
        group(go, pki, leaf, &format!("full handshake, client key {title}"), &format!("{key} full"), goal, 60);
    }
    let goal = "our cost <= 3 %";
    group(go, pki, &pki.p256, "resumed handshake", "p256 resumed", goal, 120);
    bulk(go, pki);
}

const PROVIDERS: [(&str, Provider); 2] = [("ring", Provider::Ring), ("aws-lc-rs", Provider::AwsLcRs)];

fn group(go: &Go, pki: &Pki, leaf: &Leaf, title: &str, kind: &str, goal: &str, times: usize) {
    let resumed = kind.ends_with("resumed");
    let server = server(pki, resumed);
    let run = |mut factory: Factory<'static>| {
        let server = Arc::clone(&server);
        move || handshakes(&mut factory, &server, times, resumed)
    };
    let line = format!("handshake {kind} {times}");
    let mut entries = Vec::new();
    for (name, provider) in PROVIDERS {
        entries.push(ours(format!("regauth, {name}"), run(Ours::factory(pki, leaf, provider))));
        entries.push(other(format!("rustls unbuffered, {name}"), run(Raw::factory(pki, leaf, provider))));
    }
    entries.push(other(openssl::version::version(), run(OpenSsl::factory(pki, leaf))));
    entries.extend(go.entries(&[("Go crypto/tls", &line)]));
    Group { title, unit: "ns of the client", goal, entries }.print();
}

fn bulk(go: &Go, pki: &Pki) {
    let server = server(pki, false);
    let run = |mut factory: Factory<'static>| {
        let server = Arc::clone(&server);
        move || receive(&mut factory, &server)
    };
    let mut entries = Vec::new();
    for (name, provider) in PROVIDERS {
        let used = Ours::taking(usize::MAX, pki, &pki.p256, provider);
        entries.push(ours(format!("regauth, {name}, used on the spot"), run(used)));
        entries.push(other(format!("regauth, {name}, lent"), run(Ours::factory(pki, &pki.p256, provider))));
        entries.push(other(format!("rustls unbuffered, {name}"), run(Raw::factory(pki, &pki.p256, provider))));
    }
    entries.push(other(openssl::version::version(), run(OpenSsl::factory(pki, &pki.p256))));
    entries.extend(go.entries(&[("Go crypto/tls", "bulk 32")]));
    let goal = "rate >= 0.95 of rustls: <= 1.05 of its time";
    Group { title: "receive 32 MiB, AES-128-GCM", unit: "ns a MiB", goal, entries }.print();
}

/// One suite and one group, so that all clients do the same work.
fn server(pki: &Pki, tickets: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::X25519],
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&pki.ca));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let (chain, key) = pki.server.parts();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier.expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a certificate");
    config.send_tls13_tickets = usize::from(tickets);
    Arc::new(config)
}

/// Does so many handshakes, and then ends the connections: buffers are wiped.
fn handshakes(factory: &mut Factory<'_>, server: &Arc<ServerConfig>, times: usize, resumed: bool) -> Cost {
    // What is set up once is no part of it, nor is the handshake whose session the others resume.
    _ = connect(factory, server, &mut Watch::default());
    let mut watch = Watch::default();
    for _ in 0..times {
        let (client, _) = connect(factory, server, &mut watch);
        assert_eq!(client.resumed(), resumed);
        watch.time(|| drop(client));
    }
    watch.cost(times)
}

fn connect(
    factory: &mut Factory<'_>,
    server: &Arc<ServerConfig>,
    watch: &mut Watch,
) -> (Box<dyn Client>, ServerConnection) {
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    let (mut from, mut to) = (Vec::with_capacity(8192), Vec::with_capacity(8192));
    let mut client = watch.time(|| {
        let mut client = factory();
        client.exchange(&[], &mut to);
        client
    });
    let mut greeted = false;
    while !to.is_empty() || !greeted {
        let mut sent = &to[..];
        while !sent.is_empty() {
            server.read_tls(&mut sent).expect("memory");
            server.process_new_packets().expect("a handshake");
        }
        if !server.is_handshaking() && !greeted {
            // The first byte shows that the server has accepted; before that no session is worth to be kept.
            std::io::Write::write_all(&mut server.writer(), b"x").expect("memory");
            greeted = true;
        }
        to.clear();
        from.clear();
        while server.wants_write() {
            server.write_tls(&mut from).expect("memory");
        }
        watch.time(|| client.exchange(&from, &mut to));
    }
    assert!(client.ready());
    (client, server)
}

fn receive(factory: &mut Factory<'_>, server: &Arc<ServerConfig>) -> Cost {
    const MIB: usize = 32;
    let (mut client, mut server) = connect(factory, server, &mut Watch::default());
    let mut sent = Vec::with_capacity((MIB + 1) << 20);
    let plain = vec![7; 1 << 20];
    server.set_buffer_limit(None);
    for _ in 0..MIB {
        std::io::Write::write_all(&mut server.writer(), &plain).expect("memory");
        while server.wants_write() {
            server.write_tls(&mut sent).expect("memory");
        }
    }
    // The first MiB takes the memory that there is to take.
    let first = sent.len() / MIB;
    let mut received = client.receive(&sent[..first]);
    let mut watch = Watch::default();
    received += watch.time(|| client.receive(&sent[first..]));
    assert_eq!(received, MIB << 20);
    watch.cost(MIB - 1)
}
