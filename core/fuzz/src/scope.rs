//! Scopes: merging is idempotent and loses nothing, every list covers itself, and what a request needs is a scope.

use regauth::scope::{Scope, covers, merge, needed};

/// Method, target, and scopes, separated by [`crate::FIELD`].
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split(char::from(crate::FIELD));
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for scope in needed(method, target).unwrap_or_default() {
        let (resource, actions) = scope.parts().expect("what is needed parses");
        assert!(resource == "registry:catalog" || resource.starts_with("repository:"), "{scope}");
        assert!(matches!(actions, "pull" | "pull,push" | "delete" | "*"), "{scope}");
    }
    let scopes: Vec<Scope> = parts.flat_map(Scope::list).collect();
    let merged = merge(&scopes);
    assert_eq!(merge(&merged), merged);
    assert_eq!(merge(merged.iter().chain(&scopes)), merged, "nothing new");
    assert!(covers(&merged, &merged) && covers(&scopes, &scopes));
    assert!(covers(&merged, &scopes), "{merged:?} out of {scopes:?}");
    assert!(merged.len() <= scopes.len());
    let first = |scope: &Scope| scope.parts().map_or(scope.as_str(), |(resource, _)| resource).to_string();
    let mut order: Vec<String> = Vec::new();
    for name in
        scopes.iter().map(|scope| (scope.parts().is_some(), first(scope))).map(|(good, name)| format!("{good} {name}"))
    {
        if !order.contains(&name) {
            order.push(name);
        }
    }
    let came: Vec<String> =
        merged.iter().map(|scope| format!("{} {}", scope.parts().is_some(), first(scope))).collect();
    assert_eq!(came, order, "the order of first mention");
    assert!(covers(&[], &[]));
    for scope in &scopes {
        assert!(!covers(&[], std::slice::from_ref(scope)), "nothing covers {scope}");
        assert_eq!(Scope::new(scope.as_str()).as_ref(), Some(scope));
    }
}
