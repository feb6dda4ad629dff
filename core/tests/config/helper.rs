//! What credential helpers print.

use regauth::config::helper::{MAX_OUTPUT, read};
use regauth::{Credentials, Secret};

#[test]
fn output() {
    let rows: &[(&str, bool, &str, &str)] = &[
        ("2.2 a password", true, r#"{"ServerURL":"https://reg.example","Username":"u","Secret":"s3cret"}"#, "u"),
        ("2.2 an identity token", true, r#"{"ServerURL":"x","Username":"<token>","Secret":"s3cret"}"#, "refresh"),
        ("2.2 other fields, and a line end", true, "{\"Username\":\"u\",\"Secret\":\"s3cret\",\"More\":[1]}\n", "u"),
        (
            "2.2 until when, in seconds",
            true,
            r#"{"Username":"u","Secret":"s3cret","Expiry":1700000000}"#,
            "u until 1700000000000",
        ),
        (
            "2.2 until when, as text",
            true,
            r#"{"Username":"u","Secret":"s3cret","ExpiresAt":"2023-11-14T22:13:20Z"}"#,
            "u until 1700000000000",
        ),
        (
            "2.2 names in any case, and of two the same always",
            true,
            r#"{"USERNAME":"a","username":"b","Secret":"s3cret"}"#,
            "a",
        ),
        ("2.2 not found", false, "credentials not found in native keychain\n", "none"),
        ("2.2 not found: no URL", false, "no credentials server URL", "none"),
        ("2.2 not found: no user", false, "  no credentials username\n", "none"),
        ("2.2 nothing in it", true, r#"{"ServerURL":"x","Username":"","Secret":""}"#, "none"),
        ("2.2 a failure says why", false, "the keychain is locked\nmore", "error the keychain is locked"),
        (
            "2.2 a failure that prints JSON is not shown",
            false,
            r#"{"Secret":"s3cret"}"#,
            "error it failed and did not say why",
        ),
        ("2.2 a failure that prints nothing", false, "", "error it failed and did not say why"),
        ("2.2 no JSON", true, "s3cret", "error it printed no JSON with Username and Secret"),
        ("2.2 no secret", true, r#"{"Username":"u"}"#, "error it printed no JSON with Username and Secret"),
        (
            "2.2 a secret without a user",
            true,
            r#"{"Username":"","Secret":"s3cret"}"#,
            "error it printed a secret without a user name",
        ),
        ("2.2 an empty password is kept, and is none", true, r#"{"Username":"u","Secret":""}"#, "u"),
    ];
    for (tag, success, stdout, wanted) in rows {
        let got = match read(*success, &Secret::from(*stdout)) {
            Ok(None) => "none".to_string(),
            Ok(Some(found)) => {
                let who = match found.credentials {
                    Credentials::Basic { user, .. } => user,
                    Credentials::Refresh(_) => "refresh".into(),
                    _ => "bearer".into(),
                };
                found.valid_until.map_or(who.clone(), |until| format!("{who} until {}", until.0))
            }
            Err(why) => format!("error {why}"),
        };
        assert_eq!(got, *wanted, "{tag}");
        assert!(!got.contains("s3cret"), "{tag}");
    }
    let long = Secret::from(vec![b' '; MAX_OUTPUT + 1]);
    assert!(read(true, &long).is_err() && read(true, &Secret::from(vec![0xff])).is_err());
}
