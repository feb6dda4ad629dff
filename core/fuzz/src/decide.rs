//! The hop policy: no grant ever crosses an origin without a pair, whatever the configuration, the chain and the URL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Arbitrary, Unstructured};
use regauth::Hop;
use regauth::hop::{Chain, Decision, Question, decide};
use regauth::origin::{Class, Origin, Url};

use crate::setup::{Setup, origin};

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    setup: Setup,
    hop: u8,
    target: u8,
    chain: [u8; 6],
    length: u8,
    redirects: u8,
    bits: u8,
    anchor_class: u8,
    address_kind: u8,
    address: [u8; 16],
    /// Path and query; or, if it has a scheme, all of the target.
    rest: &'a [u8],
}

const HOPS: [Hop; 6] = [Hop::Registry, Hop::Token, Hop::Redirect, Hop::Upload, Hop::Layer, Hop::TokenRedirect];

/// A case in the order of its members.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let setup = &case.setup;
    let (config, anchor, hop) = (setup.config(), setup.anchor(), HOPS[usize::from(case.hop) % HOPS.len()]);
    let rest = String::from_utf8_lossy(case.rest);
    let url = Url::parse(&rest).or_else(|_| Url::parse(&format!("{}/{rest}", origin(case.target))));
    let Ok(target) = url else { return };
    let length = usize::from(case.length) % (case.chain.len() + 1);
    // A chain starts at the anchor, except that some hosts may get that wrong.
    let mut origins: Vec<Origin> = case.chain[..length].iter().map(|place| origin(*place)).collect();
    if case.bits & 1 == 0 {
        origins.insert(0, anchor.clone());
    }
    let chain = Chain { origins, redirects: usize::from(case.redirects) % 12, bare: case.bits & 2 != 0 };
    let class = [None, Some(Class::Public), Some(Class::Private), Some(Class::Loopback)];
    let [a, b, c, d, ..] = case.address;
    let ask = Question {
        anchor: &anchor,
        hop,
        target: &target,
        chain: &chain,
        credentials: case.bits & 4 != 0,
        anchor_class: class[usize::from(case.anchor_class) % class.len()],
        address: match case.address_kind % 3 {
            0 => None,
            1 => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            _ => Some(IpAddr::V6(Ipv6Addr::from(case.address))),
        },
    };
    let decision = decide(&config, &ask);
    assert_eq!(decision, decide(&config, &ask), "pure");
    let to = target.origin();
    match decision {
        Decision::Allow(grants) => {
            let most = setup.most(hop, to, &chain.origins, chain.bare);
            if let Some(whose) = &grants.identity {
                let label = setup.identity(whose);
                assert!(label.is_some() && label == most.identity, "identity of {whose}, at most {most:?}: {ask:?}");
                assert!(to.is_https());
            }
            if let Some(whose) = &grants.headers_of {
                let value = setup.header(whose);
                assert!(value.is_none() || value == most.header, "headers of {whose}, at most {most:?}: {ask:?}");
            }
            assert!(!grants.credential || (most.secret && ask.credentials), "a credential, at most {most:?}: {ask:?}");
            assert!(!grants.bearer || (most.bearer && *to == anchor && !hop.is_token()), "a bearer token: {ask:?}");
            // Where a redirect of a token request comes from was decided before: the chain is taken at its word.
            let redirected = hop == Hop::TokenRedirect && (to.is_https() || !anchor.is_https());
            // A literal is its own address; where the host names another one, that one is judged.
            assert!(setup.may_exist(hop, to) || redirected || ask.address.is_some(), "{ask:?}");
            assert!(to.is_https() || !chain.origins.iter().any(Origin::is_https) || hop == Hop::Token, "{ask:?}");
            assert!(hop != Hop::Redirect || chain.redirects < 10);
            assert!(hop != Hop::TokenRedirect || chain.origins.last() == Some(to));
            if let Some(address) = ask.address.or_else(|| to.literal()) {
                assert!(setup.may_be_at(hop, to, address, ask.anchor_class), "{address}: {ask:?}");
            }
        }
        Decision::Ask { line, .. } => {
            assert!(ask.credentials && hop.is_token() && !line.is_empty(), "{ask:?}");
        }
        _ => {}
    }
}
