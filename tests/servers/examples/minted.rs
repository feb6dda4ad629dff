//! What the core mints, for other languages to compare: `minted NOW TTL BYTE NAME...` prints the files of one buildkitd as
//! one line of JSON. The entropy is 32 times that byte, which only a test may do.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program")]

use std::io::{Error, Result};

use regauth::Time;
use regauth::mint::buildkitd;
use serde_json::{Map, Value};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [now, ttl, byte, names @ ..] = arguments.as_slice() else {
        return Err(Error::other("usage: minted NOW TTL BYTE NAME..."));
    };
    let number = |text: &str| text.parse::<u64>().map_err(Error::other);
    let byte = byte.parse::<u8>().map_err(Error::other)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let uri = Some("spiffe://example.org/builder/1");
    let bundle = buildkitd(&names, uri, Time(number(now)?), number(ttl)?, &[byte; 32]).map_err(Error::other)?;
    let text = |pem: &regauth::Secret| Value::from(String::from_utf8_lossy(pem.expose()).into_owned());
    let files: Map<String, Value> = bundle.files.iter().map(|(name, pem)| ((*name).into(), text(pem))).collect();
    println!("{}", Value::from(files));
    Ok(())
}
