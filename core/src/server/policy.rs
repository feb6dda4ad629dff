//! Who may do what: identities, and a short list of lines that are data only.

use std::fmt;

use super::peer::SpiffeId;
use crate::scope::{Scope, is_component};
use crate::time::Time;

/// Whom the host has authenticated. Everything in it comes from there, nothing from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    subject: String,
    roles: Vec<String>,
    bindings: Vec<(String, String)>,
    valid_until: Option<Time>,
    anonymous: bool,
}

/// Why an identity is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// A subject of no or over 255 bytes, or with control characters.
    Subject,
    /// A role or a placeholder that is no word of letters, digits, `-` and `_`, or that is taken.
    Word(String),
    /// A value that is no component of a repository name: it could name another repository.
    Value(String),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => f.write_str("a subject has 1 to 255 bytes and no control characters; choose another"),
            Self::Word(word) => {
                write!(f, "{word:?} is no role or placeholder, or there already; use letters, digits, - and _")
            }
            Self::Value(name) => {
                write!(f, "the value of {name} is no component of a repository name; use lower-case letters and digits")
            }
        }
    }
}

impl std::error::Error for IdentityError {}

impl Identity {
    /// Somebody: the token's `sub`.
    pub fn new(subject: &str) -> Result<Self, IdentityError> {
        if subject.is_empty() || subject.len() > 255 || subject.contains(char::is_control) {
            return Err(IdentityError::Subject);
        }
        Ok(Self { subject: subject.into(), anonymous: false, ..Self::anonymous() })
    }

    /// Nobody: `sub` is empty, and no more than `pull` is ever granted.
    pub const fn anonymous() -> Self {
        Self { subject: String::new(), roles: Vec::new(), bindings: Vec::new(), valid_until: None, anonymous: true }
    }

    /// With this role, which lines of a [`Policy`] begin with.
    pub fn role(mut self, role: &str) -> Result<Self, IdentityError> {
        if self.anonymous || !is_word(role) || role == ANONYMOUS {
            return Err(IdentityError::Word(role.into()));
        }
        self.roles.push(role.into());
        Ok(self)
    }

    /// With a value for a placeholder: one component of a repository name, so that it cannot reach another one.
    pub fn bind(mut self, placeholder: &str, value: &str) -> Result<Self, IdentityError> {
        if !is_word(placeholder) || self.value(placeholder).is_some() {
            return Err(IdentityError::Word(placeholder.into()));
        }
        if !is_component(value) {
            return Err(IdentityError::Value(placeholder.into()));
        }
        self.bindings.push((placeholder.into(), value.into()));
        Ok(self)
    }

    /// Until this time: tokens end no later, as a capability or a build does.
    pub fn until(self, time: Time) -> Self {
        Self { valid_until: Some(time), ..self }
    }

    /// The subject: empty if anonymous.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether it is nobody.
    pub const fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    pub(super) const fn valid_until(&self) -> Option<Time> {
        self.valid_until
    }

    fn value(&self, placeholder: &str) -> Option<&str> {
        self.bindings.iter().find(|(name, _)| name == placeholder).map(|(_, value)| value.as_str())
    }
}

const ANONYMOUS: &str = "anonymous";

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Makes an identity of a SPIFFE id: `spiffe://example.org/tenant/{tenant}/builder/{build}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    domain: String,
    path: Vec<Segment>,
    role: String,
}

impl Template {
    /// Reads one; whoever fits has this role. Placeholders stand for whole segments, in the path only.
    pub fn parse(text: &str, role: &str) -> Result<Self, PolicyError> {
        let wrong = |what| PolicyError { line: 1, what };
        let rest = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
        let (domain, path) = rest.ok_or(wrong(Flaw::Pattern))?;
        let path: Vec<_> = path.split('/').map(Segment::parse).collect::<Option<_>>().ok_or(wrong(Flaw::Pattern))?;
        if path.iter().any(|segment| matches!(segment, Segment::One | Segment::Rest)) {
            return Err(wrong(Flaw::Pattern));
        }
        // A value is bound once, so a placeholder that is there twice would fit nobody.
        let twice = |(at, segment)| matches!(segment, &Segment::Bound(_)) && path.iter().take(at).any(|s| s == segment);
        if path.iter().enumerate().any(twice) {
            return Err(wrong(Flaw::Pattern));
        }
        // The trust domain by itself is a SPIFFE id too.
        SpiffeId::parse(&format!("spiffe://{domain}")).ok_or(wrong(Flaw::Pattern))?;
        Identity::new("x").and_then(|who| who.role(role)).map_err(|_| wrong(Flaw::Role))?;
        Ok(Self { domain: domain.into(), path, role: role.into() })
    }

    /// The identity of this id, its subject the whole id; `None` if it does not fit, or if what stands for a
    /// placeholder is no component of a repository name.
    pub fn identity(&self, id: &SpiffeId) -> Option<Identity> {
        if id.trust_domain() != self.domain || id.path().len() != self.path.len() {
            return None;
        }
        let mut who = Identity::new(&id.to_string()).ok()?.role(&self.role).ok()?;
        for (segment, have) in self.path.iter().zip(id.path()) {
            match segment {
                Segment::Literal(text) if text == have => {}
                Segment::Bound(name) => who = who.bind(name, have).ok()?,
                _ => return None,
            }
        }
        Some(who)
    }
}

/// Lines of role, repositories and actions, of which the first that fits decides; what fits none is denied.
///
/// ```text
/// # role     repositories              actions
/// builder    builds/{build}            pull,push
/// builder    cache/{tenant}/**         pull,push
/// builder    cache/global/**           pull
/// admin      registry:catalog          *
/// *          secret/**                 none
/// *          library/*                 pull
/// ```
///
/// A role is one of the identity's, `anonymous`, or `*` for everybody, anonymous clients too. `{name}` is a value of
/// the identity, `*` one component, and `**` at the end one or more. Actions are `pull`, `push`, `delete`, `*` or
/// `none`. Lines that anonymous clients fit can hold `pull` and `none` only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy(Vec<Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    role: String,
    path: Vec<Segment>,
    catalog: bool,
    actions: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Bound(String),
    One,
    Rest,
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::One),
            "**" => Some(Self::Rest),
            _ => match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
                Some(name) => is_word(name).then(|| Self::Bound(name.into())),
                None => is_component(text).then(|| Self::Literal(text.into())),
            },
        }
    }
}

/// Which line of a policy is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: Flaw,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Not three words.
    Words,
    /// No role.
    Role,
    /// No pattern.
    Pattern,
    /// No action, or an unknown one.
    Actions,
    /// More than `pull` for clients that nobody has authenticated.
    Anonymous,
    /// `push` without `pull`, with which no registry lets anybody write.
    PushAlone,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Flaw::Words => "is not role, repositories and actions; write three words",
            Flaw::Role => "has no role; use letters, digits, - and _, or *",
            Flaw::Pattern => "has no pattern; use components, {placeholder}, *, and ** at the end",
            Flaw::Actions => "has no actions; use pull, push, delete, * or none",
            Flaw::Anonymous => "gives anonymous clients more than pull; give that to a role",
            Flaw::PushAlone => "has push without pull; writing needs pull,push",
        };
        write!(f, "line {} {what}", self.line)
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Reads the lines; empty ones and what follows `#` do not count.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let read = match words.as_slice() {
                [] => continue,
                [role, pattern, actions] => Line::parse(role, pattern, actions),
                _ => Err(Flaw::Words),
            };
            lines.push(read.map_err(|what| PolicyError { line: at + 1, what })?);
        }
        Ok(Self(lines))
    }

    /// What `who` may do with the resources of `asked`, whatever actions are asked for.
    pub fn may(&self, who: &Identity, asked: &[Scope]) -> Vec<Scope> {
        let one = |scope: &Scope| {
            let (resource, _) = scope.parts()?;
            let line = self.0.iter().find(|line| line.fits(who, resource))?;
            if line.actions == "none" { None } else { Scope::new(&format!("{resource}:{}", line.actions)) }
        };
        asked.iter().filter_map(one).collect()
    }
}

impl Line {
    fn parse(role: &str, pattern: &str, actions: &str) -> Result<Self, Flaw> {
        if role != "*" && !is_word(role) {
            return Err(Flaw::Role);
        }
        let catalog = pattern == "registry:catalog";
        let path: Vec<Segment> = match catalog {
            true => Vec::new(),
            false => pattern.split('/').map(Segment::parse).collect::<Option<_>>().ok_or(Flaw::Pattern)?,
        };
        if path.iter().rev().skip(1).any(|segment| *segment == Segment::Rest) {
            return Err(Flaw::Pattern);
        }
        let list: Vec<&str> = actions.split(',').collect();
        let known = list.iter().all(|action| matches!(*action, "pull" | "push" | "delete" | "*"));
        if actions != "none" && !known {
            return Err(Flaw::Actions);
        }
        if matches!(role, "*" | ANONYMOUS) && !matches!(actions, "pull" | "none") {
            return Err(Flaw::Anonymous);
        }
        if list.contains(&"push") && !list.contains(&"pull") {
            return Err(Flaw::PushAlone);
        }
        Ok(Self { role: role.into(), path, catalog, actions: actions.into() })
    }

    fn fits(&self, who: &Identity, resource: &str) -> bool {
        let role = match self.role.as_str() {
            "*" => true,
            ANONYMOUS => who.anonymous,
            role => who.roles.iter().any(|have| have == role),
        };
        match resource.split_once(':') {
            Some(("registry", name)) => role && self.catalog && name == "catalog",
            Some(("repository", name)) => role && !self.catalog && self.names(who, name),
            _ => false,
        }
    }

    fn names(&self, who: &Identity, name: &str) -> bool {
        let mut components = name.split('/');
        for segment in &self.path {
            let Some(component) = components.next() else { return false };
            let fits = is_component(component)
                && match segment {
                    Segment::Literal(text) => text == component,
                    Segment::Bound(name) => who.value(name) == Some(component),
                    Segment::One => true,
                    Segment::Rest => return components.all(is_component),
                };
            if !fits {
                return false;
            }
        }
        components.next().is_none()
    }
}
