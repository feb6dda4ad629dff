//! Two identities of which the server takes the second alone: found at once by what the server names, or by trying.

use regauth::tls::Shown;
use regauth_servers::{Ask, Program, Record, Server, Tls, have};

use super::client::{Outcome, agent, get, identity};
use super::table::{Ground, name};

/// Status and label of each attempt, and whether its session was resumed.
fn attempts(outcome: &Outcome) -> Vec<(Option<u16>, Option<String>, bool)> {
    let attempt = |sent: &regauth::wire::Sent| {
        let evidence = sent.evidence.as_ref().unwrap();
        let label = if let Shown::Pair { label, .. } = &evidence.shown { Some(label.clone()) } else { None };
        (sent.status, label, evidence.resumed)
    };
    outcome.sent.iter().map(attempt).collect()
}

#[test]
fn nginx_names_the_issuer_and_the_second_is_chosen_at_once() {
    if !have(&[Program::Nginx, Program::Registry28]) {
        return;
    }
    let ground = Ground::new();
    for tls in [Tls::V12, Tls::V13] {
        let front = ground.front(Server::Nginx, Ask::Required, tls);
        let origin = format!("https://localhost:{}", front.address.port());
        let identities = vec![identity(&ground.pki.wrong), identity(&ground.pki.client)];
        let agent = agent(&ground.pki, &origin, identities, |_| {});
        let outcome = get(&agent, front.address, &format!("{origin}/v2/"));
        assert_eq!(attempts(&outcome), [(Some(200), Some("client.crt".into()), false)]);
        let log = front.log(1).replace(&ground.pki.ca_name, "regauth test CA");
        println!("nginx, TLS {}:\n{log}", name(tls));
        let records: Vec<_> = log.lines().filter_map(Record::parse).collect();
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].verify.as_str(), records[0].status), ("SUCCESS", 200));
    }
}

#[test]
fn apache_names_nobody_and_the_second_is_tried_after_a_403() {
    if !have(&[Program::Apache, Program::Registry28]) {
        return;
    }
    let ground = Ground::new();
    for tls in [Tls::V12, Tls::V13] {
        let front = ground.front(Server::Apache, Ask::Expression, tls);
        let origin = format!("https://localhost:{}", front.address.port());
        let url = format!("{origin}/v2/");
        let identities = || vec![identity(&ground.pki.wrong), identity(&ground.pki.client)];
        let without = agent(&ground.pki, &origin, identities(), |host| host.try_pairs = true);
        let outcome = get(&without, front.address, &url);
        assert_eq!(attempts(&outcome), [(Some(403), Some("wrong.crt".into()), false)]);
        println!("without the option, TLS {}: {}", name(tls), outcome.said());

        let with = agent(&ground.pki, &origin, identities(), |host| host.try_pairs_on_status = true);
        for resumed in [false, true] {
            let outcome = get(&with, front.address, &url);
            let refused = (Some(403), Some("wrong.crt".to_string()), resumed);
            assert_eq!(attempts(&outcome), [refused, (Some(200), Some("client.crt".into()), resumed)]);
            assert_eq!(outcome.diagnosis, None);
        }
        let log = front.log(5).replace(&ground.pki.ca_name, "regauth test CA");
        println!("Apache, TLS {}:\n{log}", name(tls));
        let mut seen: Vec<_> = log
            .lines()
            .map(|line| {
                let right = line.contains("issuer=\"CN=regauth test CA\"");
                (line.contains("\" 200 "), right, line.ends_with("resumed=Resumed"))
            })
            .collect();
        // Its threads log by themselves.
        seen.sort_unstable();
        let refused = [(false, false, false), (false, false, false), (false, false, true)];
        assert_eq!(seen, [&refused[..], &[(true, true, false), (true, true, true)]].concat(), "{log}");
    }
}
