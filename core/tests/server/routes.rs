//! The route table against what distribution v3.1.1 asked for, recorded in `tests/vectors/server/routes.jsonl`
//! (`cargo run -p regauth-servers --example record-routes`). Every difference has a name and a reason.

use std::collections::BTreeMap;

use regauth::scope::{Scope, covers};
use regauth::server::{Need, need};
use serde_json::Value;

/// One request, what the registry said about it, and what the table says.
struct Row<'a> {
    method: &'a str,
    target: &'a str,
    form: bool,
    status: u16,
    asked: Vec<Scope>,
    need: Need,
}

impl Row<'_> {
    fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The scopes that the table wants; none where any token will do.
    fn wanted(&self) -> Option<&[Scope]> {
        match &self.need {
            Need::Scopes(scopes) => Some(scopes),
            Need::Authenticated => Some(&[]),
            _ => None,
        }
    }

    fn is_session(&self) -> bool {
        self.path().rsplit_once("/blobs/uploads/").is_some_and(|(_, id)| !id.is_empty() && !id.contains('/'))
    }

    fn rejects(&self, status: u16) -> bool {
        self.need == Need::Reject(status)
    }
}

type Fits = fn(&Row<'_>) -> bool;

/// Name, reason, what belongs to it.
const DIFFERENCES: [(&str, &str, Fits); 10] = [
    ("an upload's status wants push", "whoever may only pull has no business with an upload", |row| {
        row.is_session() && matches!(row.method, "GET" | "HEAD") && row.wanted().is_some()
    }),
    (
        "an upload is cancelled with push",
        "distribution wants delete, so that a client cannot cancel its own push; another permission, not a larger one, \
         and distribution behind the guard still asks for its own",
        |row| row.is_session() && row.method == "DELETE" && row.wanted().is_some(),
    ),
    (
        "routes that distribution does not have",
        "referrers, end-12 of the specification, which other registries serve",
        |row| row.status == 404 && row.path().contains("/referrers/"),
    ),
    (
        "paths without their last slash",
        "distribution redirects them, other registries serve them; the table asks for what the path with it needs",
        |row| row.status == 301 && (row.path() == "/v2" || row.path().ends_with("/blobs/uploads")),
    ),
    (
        "methods that no end-point has",
        "distribution asks for a token before it looks at the method, and with OPTIONS for no scope at all",
        |row| row.rejects(405) && row.status == 401,
    ),
    (
        "targets that are read in two ways",
        "dots, empty segments, escapes and parameters are refused where distribution redirects or decodes",
        |row| {
            let odd = ["%", "//", "/.", ";", "\u{e4}"].iter().any(|odd| row.path().contains(odd));
            row.rejects(400) && odd
        },
    ),
    (
        "names with a host, a port or upper-case letters",
        "the specification has lower-case components only, and two spellings are two names to one policy",
        |row| row.rejects(400) && row.path().bytes().any(|b| b.is_ascii_uppercase() || b == b':'),
    ),
    ("names that are too long", "255 bytes: distribution asks first and refuses afterwards", |row| {
        row.rejects(400) && row.path().len() > 255 + "/v2//tags/list".len()
    }),
    ("forms in a body", "distribution reads `from` in it, and a guard does not see the body", |row| {
        row.form && row.rejects(400)
    }),
    (
        "parameters that are read in two ways",
        "repeated or recased ones, semicolons, a source that is no name, and a mount that is no digest",
        |row| row.rejects(400) && row.target.contains('?'),
    ),
];

fn rows(text: &str, mut see: impl FnMut(&Row<'_>)) {
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (target, form) = (line["target"].as_str().unwrap(), line["form"] == true);
        for (methods, said) in line["said"].as_object().unwrap() {
            let (status, scopes) = said.as_str().unwrap().split_once(' ').unwrap_or((said.as_str().unwrap(), ""));
            for method in methods.split(' ') {
                let content_type = form.then_some("application/x-www-form-urlencoded");
                see(&Row {
                    method,
                    target,
                    form,
                    status: status.parse().unwrap(),
                    asked: Scope::list(scopes),
                    need: need(method, target, content_type),
                });
            }
        }
    }
}

#[test]
fn every_difference_to_distribution_has_a_reason_and_none_grants_more() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/server/routes.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let (mut total, mut same, mut refused) = (0, 0, 0);
    let mut differences: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unnamed = Vec::new();
    rows(&text, |row| {
        total += 1;
        let asks = row.status == 401;
        // One way round, whatever it is called: what distribution asks for is asked for here.
        let cancels = row.is_session() && row.method == "DELETE";
        if let (true, Some(wanted)) = (asks && !cancels, row.wanted()) {
            assert!(covers(wanted, &row.asked), "{} {}: {:?} grants more", row.method, row.target, row.need);
        }
        match row.wanted() {
            Some(wanted) if asks && covers(&row.asked, wanted) && !cancels => same += 1,
            None if !asks => refused += 1,
            _ => match DIFFERENCES.iter().find(|(_, _, fits)| fits(row)) {
                Some((name, _, _)) => *differences.entry(name).or_default() += 1,
                None => unnamed.push(format!(
                    "{} {}: {} {:?}, here {:?}",
                    row.method, row.target, row.status, row.asked, row.need
                )),
            },
        }
    });
    println!("{total} requests: {same} the same, {refused} refused by both");
    for (name, reason, _) in DIFFERENCES {
        println!("{:5} {name}: {reason}", differences.get(name).unwrap_or(&0));
    }
    assert!(unnamed.is_empty(), "{} without a name:\n{}", unnamed.len(), unnamed.join("\n"));
    assert!(DIFFERENCES.iter().all(|(name, _, _)| differences.contains_key(name)), "a reason that nothing needs");
    assert!(total >= 10_000 && same >= 400, "{total} {same}");
}

#[test]
fn a_laxer_table_would_be_found() {
    let line = r#"{"target":"/v2/a/tags/list","said":{"GET":"401 repository:a:pull,push"}}"#;
    rows(line, |row| assert!(!covers(row.wanted().unwrap(), &row.asked)));
}
