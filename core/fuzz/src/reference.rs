//! Image names: the full text of one is the same one, and its parts can be used where they are meant for.

use regauth::origin::Origin;
use regauth::reference::Reference;
use regauth::scope::{Scope, needed};

/// A name.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = match Reference::parse(text) {
        Ok(name) => name,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(Reference::parse(&name.to_string()).as_ref(), Ok(&name), "{name}");
    assert!(name.tag().is_some() || name.digest().is_some());
    assert!(name.origin().is_https());
    assert_eq!(Origin::parse(&name.origin().to_string()).as_ref(), Ok(name.origin()));
    let target = format!("/v2/{}/manifests/{}", name.repository(), name.reference());
    assert_eq!(needed("GET", &target), Some(vec![Scope::repository(name.repository(), "pull")]), "{target}");
    assert!(Origin::parse(&format!("{}{target}", name.origin())).is_ok());
}
