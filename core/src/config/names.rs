//! Names of registries as the formats write them.

use crate::origin::{Origin, Url};

/// The origin of a registry by its name `host[:port]`: https, and one for all names of Docker Hub.
pub(crate) fn registry(name: &str) -> Option<Origin> {
    if name.contains(['/', '?', '#', '@']) || name.ends_with(':') {
        return None;
    }
    hub(Origin::parse(&format!("https://{name}")).ok()?)
}

/// The same origin, and that of Docker Hub's API for all of its names.
pub(crate) fn hub(origin: Origin) -> Option<Origin> {
    if origin.is_hub() { Origin::parse("https://registry-1.docker.io").ok() } else { Some(origin) }
}

/// The same host and port over http; what stands for the default port does so there too.
pub(crate) fn over_http(origin: &Origin) -> Option<Origin> {
    Origin::parse(&format!("http://{}", origin.authority())).ok()
}

/// The name of a registry, back from its origin: `docker.io`, `reg.example:5000`.
pub(crate) fn name(origin: &Origin) -> String {
    if origin.is_hub() { "docker.io".into() } else { origin.authority() }
}

/// A URL of a mirror or server, `https` where it has no scheme: its origin, and its path without a `/` at the end.
pub(crate) fn server(text: &str, scheme: &str) -> Option<(Origin, String)> {
    let whole = if text.contains("://") { text.to_string() } else { format!("{scheme}://{text}") };
    let url = Url::parse(&whole).ok()?;
    if url.rest().contains('?') {
        return None;
    }
    let path = url.path().trim_end_matches('/').to_string();
    Some((hub(url.origin().clone())?, path))
}

/// On Windows a directory of `host:port` is named without the colon: all registries whose directory this can be.
pub(crate) fn without_colon(name: &str) -> Vec<String> {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let cut = |length| {
        let (host, port) = name.split_at_checked(name.len().checked_sub(length)?)?;
        let good = !name.contains(':') && !port.starts_with('0') && port.parse::<u16>().is_ok();
        Some(format!("{host}:{port}")).filter(|whole| good && registry(whole).is_some())
    };
    (1..=digits.min(5)).filter_map(cut).collect()
}

/// Whether a host without a scheme is on this machine, so that some readers take plain http for it. They do not for names
/// below `localhost`.
pub(crate) fn is_local(origin: &Origin) -> bool {
    origin.class() == Some(crate::origin::Class::Loopback) && !origin.host().ends_with(".localhost")
}

/// A known name that differs from `name` by two letters at the most, or by case.
pub(crate) fn similar<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let close = |other: &&&str| name.eq_ignore_ascii_case(other) || distance(name, other) <= 2.min(other.len() / 2);
    known.iter().find(close).copied()
}

fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, pair) in b.bytes().zip(row.windows(2)) {
            let [diagonal, up] = pair else { continue };
            left = (diagonal + usize::from(x != y)).min(up + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
