//! What distribution v3 asks for each of several thousand requests: the oracle of the guard's route table.
//!
//! Requests go out without a token; the registry answers with the challenge of the route that it has found.
//! `cargo run -p regauth-servers --example record-routes` writes the answers to `tests/vectors/server/routes.jsonl`,
//! and a test of this crate asks again and compares.

use std::io::{Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use regauth::challenge;
use serde_json::{Map, Value, json};

use crate::http::Message;
use crate::pki::{Pki, entropy};
use crate::process::TempDir;
use crate::registry::{Kind, Registry};

/// The methods of every target; the last three are none of the specification's.
pub const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "get"];

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Names of repositories: good ones, those that look like end-points, and those that are none.
const NAMES: [&str; 44] = [
    "a",
    "library/alpine",
    "a/b/c/d",
    "a__b",
    "a.b/c-d",
    "a--b",
    "0",
    "v2",
    "v2/a",
    "manifests",
    "blobs",
    "uploads",
    "tags",
    "list",
    "referrers",
    "tags/list",
    "blobs/uploads",
    "manifests/manifests",
    "a/manifests/b",
    "a/blobs/uploads/b",
    "a/blobs/b",
    "a/tags/list",
    "a/referrers/b",
    "_catalog",
    "A",
    "Builds/b1",
    "a..b",
    "a___b",
    "a._b",
    "-a",
    "a-",
    ".a",
    "a/-b",
    "reg.example:5000/a",
    "reg.example/a",
    "a%2Fb",
    "a%2fb",
    "%61",
    "a%252Fb",
    "a;x=1",
    "a/../b",
    "a//b",
    "a/./b",
    "\u{e4}",
];

/// What follows a name; `D` stands for a digest's 64 digits.
const TAILS: [&str; 25] = [
    "/manifests/latest",
    "/manifests/blobs",
    "/manifests/sha256:D",
    "/manifests/sha256%3AD",
    "/manifests/.x",
    "/manifests/a:b",
    "/manifests/",
    "/manifests/latest/",
    "/blobs/sha256:D",
    "/blobs/sha256:e3b0",
    "/blobs/latest",
    "/blobs/",
    "/blobs/uploads",
    "/blobs/uploads/",
    "/blobs/uploads/?mount=sha256:D&from=m/n",
    "/blobs/uploads/7f-1_2.3=",
    "/blobs/uploads/7f?digest=sha256:D",
    "/blobs/uploads/7f/",
    "/uploads/7f",
    "/tags/list",
    "/tags/list?n=1&last=x",
    "/tags",
    "/referrers/sha256:D",
    "/other",
    "",
];

/// Whole targets that are no name and tail.
const TARGETS: [&str; 41] = [
    "/v2",
    "/v2/",
    "/v2//",
    "/v2/?n=1",
    "/v2?n=1",
    "/v2/_catalog",
    "/v2/_catalog?n=1",
    "/v2/_catalog/",
    "/v2/_other",
    "/",
    "/v1/",
    "/v2x/a/tags/list",
    "/V2/a/tags/list",
    "//v2/a/tags/list",
    "/./v2/a/tags/list",
    "/x/../v2/a/tags/list",
    "/%76%32/a/tags/list",
    "/v2%2Fa/tags/list",
    "/v2/a/manifests/latest?from=m/n",
    "/v2/a/tags/list?from=m/n",
    "/v2/a/blobs/uploads/7f?from=m/n",
    "/v2/a/blobs/uploads/?from=m/n",
    "/v2/a/blobs/uploads/?from=m/n&mount=sha256:D",
    "/v2/a/blobs/uploads?mount=sha256:D&from=m/n",
    "/v2/a/blobs/uploads/?mount=sha256:D",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=",
    "/v2/a/blobs/uploads/?mount=sha256:D&from",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=a",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=M/N",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=m%2Fn",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=m%252Fn",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=m+n",
    "/v2/a/blobs/uploads/?mount=sha256:D&%66rom=m/n",
    "/v2/a/blobs/uploads/?mount=sha256:D&From=m/n",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=m&from=n",
    "/v2/a/blobs/uploads/?mount=sha256:D&from=a&from=n",
    "/v2/a/blobs/uploads/?mount=sha256:D;from=m/n",
    "/v2/a/blobs/uploads/?mount=sha256:D&x=;&from=m/n",
    "/v2/a/blobs/uploads/?mount=latest&from=m/n",
    "/v2/a/blobs/uploads/?from=m/n%00",
    "/v2/a/blobs/uploads/?digest=sha256:D&from=m/n",
];

/// Every target: path and query as they are sent, and whether a form `from=m/n` goes with it as the body.
pub fn targets() -> Vec<(String, bool)> {
    let named = NAMES.iter().flat_map(|name| TAILS.iter().map(move |tail| format!("/v2/{name}{tail}")));
    let long = [255, 256].map(|length| "n".repeat(length));
    let long = long.iter().flat_map(|name| ["/tags/list", "/blobs/uploads/"].map(|tail| format!("/v2/{name}{tail}")));
    let whole = TARGETS.iter().map(|target| (*target).to_string());
    let forms = ["/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/7f", "/v2/a/manifests/latest", "/v2/a/tags/list"];
    let plain = named.chain(long).chain(whole).map(|target| (target.replace('D', HEX), false));
    plain.chain(forms.map(|target| (target.to_string(), true))).collect()
}

/// Starts distribution v3, sends all requests, and gives one line of JSON for each target:
/// `{"target", "form", "said": {"GET HEAD": "401 repository:a:pull"}}`. What is said is the status and, sorted, the
/// scopes of the challenge.
pub fn record() -> Result<Vec<String>> {
    let directory = TempDir::new("routes")?;
    std::fs::create_dir(directory.join("pki"))?;
    let signing = regauth::server::SigningKey::generate(&entropy()?).map_err(std::io::Error::other)?;
    let pki = Pki::new(&directory.join("pki"), &signing)?;
    let registry = Registry::with_tokens(Kind::V3, &directory, &pki, "https://auth.example/token")?;
    targets().iter().map(|(target, form)| line(registry.address, target, *form)).collect()
}

fn line(registry: SocketAddr, target: &str, form: bool) -> Result<String> {
    let mut said: Vec<(String, String)> = Vec::new();
    for method in METHODS {
        let answer = ask(registry, method, target, form)?;
        match said.iter_mut().find(|(_, have)| *have == answer) {
            Some((methods, _)) => methods.push_str(&format!(" {method}")),
            None => said.push((method.into(), answer)),
        }
    }
    let said: Map<String, Value> = said.into_iter().map(|(methods, answer)| (methods, answer.into())).collect();
    Ok(json!({"target": target, "form": form, "said": said}).to_string())
}

fn ask(registry: SocketAddr, method: &str, target: &str, form: bool) -> Result<String> {
    let body = if form {
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\nfrom=m/n"
    } else {
        "\r\n"
    };
    let mut stream = TcpStream::connect(registry)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: reg.example\r\nConnection: close\r\n{body}")?;
    let answer = Message::read(&stream, true)?;
    let parsed = challenge::parse(answer.field("www-authenticate").map(str::as_bytes));
    let scope = parsed.challenges.first().and_then(|challenge| challenge.text("scope")).unwrap_or_default();
    let mut scopes: Vec<String> = scope.split(' ').map(sorted).collect();
    scopes.sort();
    Ok(format!("{} {}", answer.status(), scopes.join(" ")).trim_end().to_string())
}

/// distribution writes the actions in any order.
fn sorted(scope: &str) -> String {
    let Some((resource, actions)) = scope.rsplit_once(':') else { return scope.into() };
    let mut actions: Vec<&str> = actions.split(',').collect();
    actions.sort_unstable();
    format!("{resource}:{}", actions.join(","))
}
