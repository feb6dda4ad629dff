//! Policies: nobody anonymous gets more than a pull, a placeholder never reaches beyond its own component, and what may
//! be done is told only of what was asked about.

use regauth::scope::Scope;
use regauth::server::{Identity, Policy, SpiffeId, Template};

/// A policy, a template, a SPIFFE id, and scopes, separated by [`crate::RECORD`].
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split(char::from(crate::RECORD));
    let mut part = || parts.next().unwrap_or_default();
    let (policy, template, id, asked) = (part(), part(), part(), Scope::list(part()));
    let template = Template::parse(template, "builder");
    let id = SpiffeId::parse(id);
    if let Some(id) = &id {
        assert_eq!(SpiffeId::parse(&id.to_string()).as_ref(), Some(id));
    }
    let bound = template.ok().zip(id).and_then(|(template, id)| template.identity(&id));
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
