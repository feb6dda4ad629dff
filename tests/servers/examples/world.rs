//! A world for the tests of other languages: `world A|B|C|paired` starts one with distribution v3 behind nginx, prints
//! what is where as one line of JSON, and ends with its standard input.
//!
//! Each line of input is a question: `records` is answered by one line of JSON, what nginx has logged so far.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that starts programs")]

use std::io::{BufRead as _, Error, Result, Write as _, stdin, stdout};

use regauth_servers::{Kind, PASSWORD, Pair, Record, Scenario, USER, World};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let scenario = match std::env::args().nth(1).as_deref() {
        Some("A") => Scenario::SameHost,
        Some("B") => Scenario::SecondHost,
        Some("C") => Scenario::Redirected,
        Some("paired") => Scenario::RedirectedPaired,
        _ => return Err(Error::other("usage: world A|B|C|paired")),
    };
    let world = World::start(Kind::V3, scenario)?;
    say(&describe(&world))?;
    for line in stdin().lock().lines() {
        match line?.as_str() {
            "records" => say(&world.records()?.iter().map(record).collect())?,
            other => return Err(Error::other(format!("{other:?} is no question; records is one"))),
        }
    }
    Ok(())
}

fn say(what: &Value) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}

fn describe(world: &World) -> Value {
    let pair = |pair: &Pair| json!({"cert": pair.cert, "key": pair.key});
    json!({
        "registry": world.registry(),
        "token_host": world.token_host(),
        "blob_host": world.blob_host(),
        "direct": world.direct,
        "directory": world.directory(),
        "ca": world.pki.ca,
        "client": pair(&world.pki.client),
        "token_client": pair(&world.pki.token_client),
        "wrong": pair(&world.pki.wrong),
        "expired": pair(&world.pki.expired),
        "wrong_ca": world.pki.wrong_ca,
        "user": USER,
        "password": PASSWORD,
        "repository": world.seed.repository,
        "manifest": world.seed.image.manifest.digest,
        "layers": world.seed.image.layers.iter().map(|blob| blob.digest.as_str()).collect::<Vec<_>>(),
    })
}

fn record(record: &Record) -> Value {
    json!({
        "server": record.server,
        "method": record.method,
        "target": record.target,
        "status": record.status,
        "verify": record.verify,
        "dn": record.dn,
        "authz": record.authz,
        "connection": record.connection,
        "reused": record.reused,
        "token": record.is_token(),
        "blob": record.is_blob(),
        "showed_identity": record.showed_identity(),
        "brief": record.brief(),
    })
}
