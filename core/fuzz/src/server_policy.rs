//! Policies: nobody anonymous gets more than a pull, a placeholder never reaches beyond its own component, and what may
//! be done is told only of what was asked about.

use regauth::scope::Scope;
use regauth::server::{Identity, Need, Policy, SpiffeId, Template, need};

/// A policy, a template, a SPIFFE id, and scopes, separated by [`crate::RECORD`].
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split(char::from(crate::RECORD));
    let mut part = || parts.next().unwrap_or_default();
    let (policy, template, id, mut asked) = (part(), part(), part(), Scope::list(part()));
    // A name that is longer is refused before any policy is asked.
    asked.retain(|scope| scope.as_str().len() <= 255);
    let template = Template::parse(template, "builder");
    let id = SpiffeId::parse(id);
    if let Some(id) = &id {
        assert_eq!(SpiffeId::parse(&id.to_string()).as_ref(), Some(id));
    }
    let bound = template.ok().zip(id).and_then(|(template, id)| template.identity(&id));
    let text = policy;
    let policy = match Policy::parse(policy) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(error.line >= 1 && error.line <= policy.lines().count());
            return;
        }
    };
    let named = Identity::new("x").and_then(|who| who.role("builder")).and_then(|who| who.bind("build", "b-1"));
    for who in [Some(Identity::anonymous()), bound, named.ok()].into_iter().flatten() {
        let may = policy.may(&who, &asked);
        // What stands for the template's placeholders is not known here.
        if who.is_anonymous() || who.subject() == "x" {
            assert_eq!(may, asked.iter().filter_map(|scope| decided(text, &who, scope)).collect::<Vec<_>>());
        }
        assert!(may.len() <= asked.len());
        for scope in &may {
            let (resource, actions) = scope.parts().expect("a scope");
            assert!(asked.iter().any(|asked| asked.parts().is_some_and(|(asked, _)| asked == resource)), "{scope}");
            assert!(!who.is_anonymous() || actions == "pull", "{scope}");
        }
    }
    // The same line with the value in the place of its placeholder says the same of the value's own name.
    let own = Policy::parse("builder builds/{build} pull,push").expect("a policy");
    let who =
        Identity::new("x").and_then(|who| who.role("builder")).and_then(|who| who.bind("build", "b-1")).expect("good");
    for scope in own.may(&who, &asked) {
        assert_eq!(scope.as_str(), "repository:builds/b-1:pull,push");
    }
}

/// What the first line that fits says of a scope, read once more and simply.
fn decided(policy: &str, who: &Identity, asked: &Scope) -> Option<Scope> {
    let (resource, _) = asked.parts()?;
    let name = resource.strip_prefix("repository:");
    if name.is_some_and(|name| !matches!(need("GET", &format!("/v2/{name}/tags/list"), None), Need::Scopes(_))) {
        return None;
    }
    let line = policy.lines().map(|line| line.split('#').next().unwrap_or_default()).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [role, pattern, actions] = words[..] else { return None };
        let role = role == "*" || role == if who.is_anonymous() { "anonymous" } else { "builder" };
        let pattern: Vec<&str> = pattern.split('/').collect();
        let fits = match name {
            Some(name) => pattern[0] != "registry:catalog" && fits(&pattern, &name.split('/').collect::<Vec<_>>(), who),
            None => resource == "registry:catalog" && pattern == ["registry:catalog"],
        };
        (role && fits).then_some(actions)
    })?;
    Scope::new(&format!("{resource}:{line}")).filter(|_| line != "none")
}

fn fits(pattern: &[&str], name: &[&str], who: &Identity) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (["**"], [_, ..]) => true,
        (["*", pattern @ ..], [_, name @ ..]) => fits(pattern, name, who),
        (["{build}", pattern @ ..], ["b-1", name @ ..]) => !who.is_anonymous() && fits(pattern, name, who),
        ([literal, pattern @ ..], [component, name @ ..]) => literal == component && fits(pattern, name, who),
        _ => false,
    }
}
