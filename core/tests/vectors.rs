//! Every line of `tests/vectors`, by the runner of the example.
#![allow(clippy::disallowed_methods, clippy::indexing_slicing)] // reads the vectors; JSON indexes to null

#[path = "../examples/vectors/run.rs"]
mod run;

#[test]
fn all_lines_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");
    // Under Miri, a thousand times slower, one in ten.
    let step = if cfg!(miri) { 10 } else { 1 };
    let mut passed = 0;
    let mut failed = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            for line in std::fs::read_to_string(&path).unwrap().lines().step_by(step) {
                match run::line(line) {
                    Ok(_) => passed += 1,
                    Err((id, why)) => failed.push(format!("{} {id}: {why}", path.display())),
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(passed * step >= 1045, "only {passed} lines");
}

#[test]
fn a_wrong_expectation_fails() {
    let right = r#"{"id":"x","kind":"origin","url":"https://Reg.example","origin":"https://reg.example"}"#;
    assert_eq!(run::line(right), Ok("x".to_string()));
    assert!(run::line(&right.replace("//reg", "//rog")).is_err());
    assert!(run::line(r#"{"id":"x","kind":"origin","url":"https://reg.example","error":true}"#).is_err());
    assert!(run::line(r#"{"id":"x","kind":"origin","url":"ftp://reg.example","origin":"ftp://reg.example"}"#).is_err());
}
