//! Which credentials are for which repository: one look-up with one answer.

use std::sync::Arc;

use super::config::ByOrigin;
use super::credentials::{Helper, Source};
use crate::origin::{HUB, Origin};

/// Which registries, and which repositories in them, some credentials are for.
///
/// Among the rules that match, the one of the lowest layer holds; then one that names the registry before a glob and a
/// glob before one for all; then the longest path; then the one given first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    registries: Registries,
    path: Box<str>,
    layer: u32,
    provenance: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Registries {
    One(Origin),
    Glob { labels: Vec<Box<str>>, port: Option<u16> },
    All,
}

impl Rule {
    fn new(registries: Registries) -> Self {
        Self { registries, path: "".into(), layer: 0, provenance: None }
    }

    /// For one registry, and all repositories in it. Docker Hub is one registry under all of its names.
    pub fn registry(origin: Origin) -> Self {
        Self::new(Registries::One(origin))
    }

    /// For the https registries whose host matches `pattern`: as many labels, each of them equal or matched by `*` (any
    /// characters), `?` (one character) or `[abc]`, `[a-c]`, `[^a]`. Without a port only the default one matches.
    pub fn glob(pattern: &str, port: Option<u16>) -> Self {
        let labels = pattern.to_ascii_lowercase().split('.').map(Box::from).collect();
        Self::new(Registries::Glob { labels, port })
    }

    /// For every registry.
    pub fn all() -> Self {
        Self::new(Registries::All)
    }

    /// For the repositories whose name begins with this path, whole segments only: `team` is for `team/app` and not for
    /// `teams/app`. Empty: all.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.trim_matches('/').into();
        self
    }

    /// Rules of a lower layer hold before those of a higher one, however exact these are; 0 is that of
    /// [`Config::credentials`](super::Config::credentials).
    #[must_use]
    pub fn layer(mut self, layer: u32) -> Self {
        self.layer = layer;
        self
    }

    /// The file and key that it comes from, for `explain`.
    #[must_use]
    pub fn provenance(mut self, provenance: impl Into<Arc<str>>) -> Self {
        self.provenance = Some(provenance.into());
        self
    }
}

/// Where the credentials of a repository come from. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origins {
    /// `a password`, `a user without a password`, `a refresh token`, `a bearer token`, `a helper`, `a look-up` or
    /// `unreadable`.
    pub what: &'static str,
    /// The user's name, where there is one.
    pub user: Option<String>,
    /// The helper to run, where it is one.
    pub helper: Option<Helper>,
    /// The file and key.
    pub provenance: Option<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    rule: Rule,
    source: Source,
}

/// All rules, in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    named: ByOrigin<Vec<Entry>>,
    wide: Vec<Entry>,
}

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule, source: Source) {
        let Registries::One(origin) = &rule.registries else { return self.wide.push(Entry { rule, source }) };
        let names = if origin.is_hub() {
            HUB.iter().filter_map(|host| Origin::parse(&format!("https://{host}")).ok()).collect()
        } else {
            vec![origin.clone()]
        };
        for name in names {
            self.named.entry(name).push(Entry { rule: rule.clone(), source: source.clone() });
        }
    }

    /// The same, in the place of an earlier one for the whole of the same registry.
    pub(crate) fn set(&mut self, origin: Origin, source: Source) {
        let rule = Rule::registry(origin);
        self.named.values_mut().for_each(|entries| entries.retain(|entry| entry.rule != rule));
        self.add(rule, source);
    }

    /// The one answer. Without an allocation: it is asked on the warm path.
    fn find(&self, registry: &Origin, repository: Option<&str>) -> Option<&Entry> {
        let named = self.named.get(registry).map(Vec::as_slice).unwrap_or_default();
        let matching = named.iter().chain(&self.wide).filter(|entry| entry.rule.is_for(registry, repository));
        // The first of equals is kept.
        matching.min_by_key(|Entry { rule, .. }| (rule.layer, rule.width(), usize::MAX - rule.path.len()))
    }

    pub(crate) fn has_paths(&self, registry: &Origin) -> bool {
        let named = self.named.get(registry).map(Vec::as_slice).unwrap_or_default();
        named.iter().chain(&self.wide).any(|entry| !entry.rule.path.is_empty())
    }

    pub(crate) fn source(&self, registry: &Origin, repository: Option<&str>) -> Option<&Source> {
        self.find(registry, repository).map(|entry| &entry.source)
    }

    pub(crate) fn provenance(&self, registry: &Origin, repository: Option<&str>) -> Option<Arc<str>> {
        self.find(registry, repository)?.rule.provenance.clone()
    }

    pub(crate) fn origins(&self, registry: &Origin, repository: &str) -> Option<Origins> {
        let entry = self.find(registry, Some(repository))?;
        let (what, user, helper) = match &entry.source {
            Source::None => return None,
            Source::Configured(credentials) => {
                let user = credentials.user().map(str::to_string);
                let empty = user.is_some() && !credentials.for_token();
                (if empty { "a user without a password" } else { credentials.describe() }, user, None)
            }
            Source::Ask(Some(asked)) => ("a helper", None, Some(asked.helper(registry))),
            Source::Ask(None) => ("a look-up", None, None),
            Source::Broken(_) => ("unreadable", None, None),
        };
        Some(Origins { what, user, helper, provenance: entry.rule.provenance.as_deref().map(str::to_string) })
    }
}

impl Rule {
    const fn width(&self) -> u8 {
        match self.registries {
            Registries::One(_) => 0,
            Registries::Glob { .. } => 1,
            Registries::All => 2,
        }
    }

    fn is_for(&self, registry: &Origin, repository: Option<&str>) -> bool {
        let host = match &self.registries {
            Registries::One(_) | Registries::All => true,
            Registries::Glob { labels, port } => {
                let mut own = registry.host().split('.');
                registry.is_https()
                    && port.unwrap_or(443) == registry.port()
                    && labels
                        .iter()
                        .all(|pattern| own.next().is_some_and(|label| matches(pattern.as_bytes(), label.as_bytes())))
                    && own.next().is_none()
            }
        };
        host && starts_with(repository.unwrap_or_default(), &self.path)
    }
}

/// Whether `path` is a prefix by whole segments.
fn starts_with(repository: &str, path: &str) -> bool {
    path.is_empty() || repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A shell pattern on one label. Goes back to the last `*` only, so the time is that of the product of the lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    let mut back: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', after)) = rest.split_first() {
            back = Some((after, left));
            rest = after;
            continue;
        }
        let Some((byte, tail)) = left.split_first() else {
            return rest.is_empty();
        };
        if let Some(after) = one(rest, *byte) {
            (rest, left) = (after, tail);
            continue;
        }
        let Some((after, from)) = back else { return false };
        let Some((_, from)) = from.split_first() else { return false };
        back = Some((after, from));
        (rest, left) = (after, from);
    }
}

/// What is left of the pattern after it matched one byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern.split_first()? {
        (b'?', after) => Some(after),
        (b'[', after) => {
            let end = after.iter().skip(1).position(|b| *b == b']')? + 1;
            let (set, after) = after.split_at_checked(end)?;
            let (set, negated) = match set.split_first() {
                Some((b'^', set)) => (set, true),
                _ => (set, false),
            };
            let range = set.windows(3).any(|w| matches!(w, [low, b'-', high] if (*low..=*high).contains(&byte)));
            let inside = range || (byte != b'-' && set.contains(&byte));
            if inside == negated { None } else { after.get(1..) }
        }
        (first, after) => (*first == byte).then_some(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    #[test]
    fn a_pattern_is_for_one_label() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "axbxbxc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[ab", "a", false),
            ("abc", "abc", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_order_is_layer_then_width_then_path_then_first() {
        let hub = Origin::parse("https://index.docker.io").unwrap();
        let registry = Origin::parse("https://reg.example").unwrap();
        let user =
            |name: &str| Source::Configured(Arc::new(Credentials::Basic { user: name.into(), password: "x".into() }));
        let mut rules = Rules::default();
        rules.add(Rule::all().layer(2), user("all"));
        rules.add(Rule::glob("*.example", None).layer(1), user("glob"));
        rules.add(Rule::registry(registry.clone()).layer(1), user("whole"));
        rules.add(Rule::registry(registry.clone()).layer(1).path("team/"), user("team"));
        rules.add(Rule::registry(registry.clone()).layer(1).path("team"), user("second"));
        rules.add(Rule::registry(registry.clone()).layer(2).path("team/app"), user("later"));
        rules.add(Rule::registry(hub).layer(1), user("hub"));
        let who = |url: &str, name: Option<&str>| match rules.source(&Origin::parse(url).unwrap(), name) {
            Some(Source::Configured(found)) => found.user().unwrap().to_string(),
            _ => String::new(),
        };
        assert_eq!(who("https://reg.example", Some("team/app")), "team");
        assert_eq!(who("https://reg.example", Some("teams")), "whole");
        assert_eq!(who("https://reg.example", None), "whole");
        assert_eq!(who("https://b.example", Some("x")), "glob");
        assert_eq!(who("https://b.example:5000", Some("x")), "all");
        assert_eq!(who("https://a.b.example", Some("x")), "all");
        assert_eq!(who("https://registry-1.docker.io", Some("library/alpine")), "hub");
    }
}
