//! Challenges: never a panic, both readers agree, flaws point into their field, and what was read can be written and
//! read again.

use regauth::challenge::{Challenge, each, parse};

/// Fields are separated by [`crate::RECORD`].
pub fn run(data: &[u8]) {
    let fields: Vec<&[u8]> = data.split(|byte| *byte == crate::RECORD).collect();
    let all = parse(fields.iter().copied());
    let (mut challenges, mut flaws) = (Vec::new(), Vec::new());
    for (number, field) in fields.iter().enumerate() {
        each(field, |challenge| challenges.push(challenge.clone()), |(at, kind)| flaws.push((number, at, kind)));
    }
    assert_eq!(all.challenges, challenges);
    assert_eq!(all.flaws.iter().map(|flaw| (flaw.field, flaw.offset, flaw.kind)).collect::<Vec<_>>(), flaws);
    for (number, at, kind) in flaws {
        assert!(at < fields[number].len().max(1), "{kind:?} at {at} of field {number}");
    }
    for challenge in &challenges {
        let names: Vec<&[u8]> = challenge.params().map(|param| param.name()).collect();
        for (place, name) in names.iter().enumerate() {
            assert!(names[..place].iter().all(|earlier| !earlier.eq_ignore_ascii_case(name)), "a name twice");
            let upper = String::from_utf8(name.to_ascii_uppercase()).expect("a token is ASCII");
            let value = challenge.params().nth(place).map(|param| param.value());
            assert_eq!(challenge.get(&upper), value, "names have no case");
            assert!(challenge.text(&upper).is_none_or(|text| !text.is_empty()));
        }
    }
    again(&challenges);
}

/// Writes the challenges in the strictest form and reads them again.
fn again(challenges: &[Challenge<'_>]) {
    let mut text = Vec::new();
    let mut clean = true;
    for challenge in challenges {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(challenge.scheme());
        let mut before: &[u8] = b" ";
        if let Some(token68) = challenge.token68() {
            text.push(b' ');
            text.extend_from_slice(token68);
            before = b", ";
        }
        for param in challenge.params() {
            text.extend_from_slice(before);
            text.extend_from_slice(param.name());
            text.extend_from_slice(b"=\"");
            for byte in param.value().iter() {
                clean &= !byte.is_ascii_control() || *byte == b'\t';
                if matches!(byte, b'"' | b'\\') {
                    text.push(b'\\');
                }
                text.push(*byte);
            }
            text.push(b'"');
            before = b", ";
        }
    }
    if challenges.is_empty() {
        return;
    }
    let second = parse([&text[..]]);
    assert_eq!(plain(challenges), plain(&second.challenges), "{}", text.escape_ascii());
    assert!(!clean || second.flaws.is_empty(), "{:?} in {}", second.flaws, text.escape_ascii());
}

type Plain<'a> = (&'a [u8], Option<&'a [u8]>, Vec<(&'a [u8], Vec<u8>)>);

fn plain<'a>(challenges: &[Challenge<'a>]) -> Vec<Plain<'a>> {
    let params = |challenge: &Challenge<'a>| {
        challenge.params().map(|param| (param.name(), param.value().into_owned())).collect()
    };
    challenges.iter().map(|challenge| (challenge.scheme(), challenge.token68(), params(challenge))).collect()
}
