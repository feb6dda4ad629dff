//! Several certificates, and a key that is encrypted.

use std::fs;

use regauth_servers::{Ask, Front, Kind, PASSWORD, Pair, Program, Record, Scenario, Server, Tls, World, have};

use crate::program::{arguments, briefs, programs, pull};

/// The line of a good pull with this certificate in front of the right one.
fn first(world: &World, pair: &Pair) -> Vec<String> {
    let mut line = vec!["--cert".to_string(), pair.cert.display().to_string()];
    line.extend(["--key".into(), pair.key.display().to_string()]);
    line.extend(arguments(world, "one"));
    line
}

#[test]
fn the_pair_that_nginx_names_is_chosen_at_once() {
    if !have(&programs(Kind::V2)) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let run = pull(&first(&world, &world.pki.wrong), PASSWORD);
    let records = world.records().unwrap();
    println!("{}", briefs(&records));
    assert_eq!(run.code, 0, "{}", run.said);
    let good = |record: &Record| record.verify == "SUCCESS" && record.dn.as_deref() == Some("CN=buildbot-1");
    assert!(records.len() == 7 && records.iter().all(good));
}

#[test]
fn the_next_pair_is_tried_after_apache_has_answered_403() {
    if !have(&[&programs(Kind::V2)[..], &[Program::Apache]].concat()) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let apache = Front::start(Server::Apache, Ask::Expression, Tls::V13, &world.pki, world.direct).unwrap();
    let mut line = first(&world, &world.pki.wrong);
    *line.last_mut().unwrap() = format!("{}/{}:one", apache.address, world.seed.repository);
    let run = pull(&line, PASSWORD);
    println!("without the option: {}", run.failure());
    assert_eq!(run.code, 4, "{}", run.said);
    assert!(run.failure().contains("which may be about the certificate") && run.failure().contains("wrong.crt"));

    line.insert(0, "--try-pairs-on-status".into());
    let run = pull(&line, PASSWORD);
    assert_eq!(run.code, 0, "{}", run.said);
    let here = |row: &&serde_json::Value| row["origin"] == format!("https://{}", apache.address);
    let rows: Vec<_> = run.rows.iter().filter(here).collect();
    // Of the wrong one nothing came but refusals, one for each connection at most; the right one did all the rest.
    for row in &rows {
        let refused = row["status"] == 403;
        let label = row["identity"].as_str().unwrap();
        assert_eq!(label.ends_with("wrong.crt"), refused, "{row}");
        assert!(refused || label.ends_with("client.crt"), "{row}");
    }
    let refused = rows.iter().filter(|row| row["status"] == 403).count();
    assert!((1..=4).contains(&refused) && rows.len() - refused == 6, "{rows:?}");
    let log = apache.log(1 + rows.len());
    println!("Apache:\n{log}nginx:\n{}", briefs(&world.records().unwrap()));
    for line in log.lines() {
        let right = line.contains(&format!("issuer=\"CN={}\"", world.pki.ca_name));
        assert_eq!(line.contains("\" 403 "), !right, "{line}");
    }
    assert_eq!(log.lines().count(), 1 + rows.len());
    // At its port nginx names the CA.
    assert!(world.records().unwrap().iter().all(|record| record.is_token() && record.verify == "SUCCESS"));
}

#[test]
fn an_encrypted_key_says_the_command_that_decrypts_it() {
    if !have(&[&programs(Kind::V2)[..], &[Program::Openssl]].concat()) {
        return;
    }
    let world = World::start(Kind::V2, Scenario::SameHost).unwrap();
    let (plain, encrypted) = (&world.pki.client.key, world.directory().join("encrypted.key"));
    let mut openssl = Program::Openssl.command().unwrap();
    openssl.args(["pkcs8", "-topk8", "-passout", "pass:secret", "-in"]).arg(plain).arg("-out").arg(&encrypted);
    assert!(openssl.status().unwrap().success());
    let mut line = arguments(&world, "one");
    let at = line.iter().position(|argument| *argument == plain.display().to_string()).unwrap();
    line[at] = encrypted.display().to_string();
    let run = pull(&line, PASSWORD);
    println!("{}", run.failure());
    assert_eq!(run.code, 2);
    let said = format!("{0}: the key is encrypted. Decrypt it: openssl pkey -in {0} -out ", encrypted.display());
    let decrypted = run.failure().strip_prefix(&said).and_then(|rest| rest.strip_suffix('.')).unwrap();

    // As it says.
    let decrypted_path = world.directory().join(decrypted);
    let mut openssl = Program::Openssl.command().unwrap();
    openssl.args(["pkey", "-passin", "pass:secret", "-in"]).arg(&encrypted).arg("-out").arg(&decrypted_path);
    assert!(openssl.status().unwrap().success());
    line[at] = decrypted_path.display().to_string();
    assert_eq!(pull(&line, PASSWORD).code, 0);
    fs::remove_file(decrypted_path).unwrap();
}
