//! Envoy clusters for the registries and token hosts of a configuration, and the plugin's own configuration.
//!
//! Two documents, separated by `---`: YAML for `static_resources`, and the JSON that the plugin is given. Each origin is
//! one cluster, so that a certificate is only ever shown to the origin that it is for; one that a pair lends is in a
//! cluster of that pair.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regauth::config::{HostEntry, Model};
use regauth::{Origin, Pair, PairKind};
use serde_json::{Value, json};

/// Both documents. `system`: the file of the system's certificate authorities, which those of a host are added to.
pub(crate) fn print(model: &Model, token_hosts: &[Origin], system: Option<&str>) -> String {
    let mut clusters = Clusters::new();
    let mut add = |origin: &Origin, lender: Option<&Origin>| {
        clusters.entry((origin.clone(), lender.cloned())).or_insert_with(|| name(origin, lender));
    };
    model.hosts.iter().filter_map(|host| host.origin.as_ref()).for_each(|origin| add(origin, None));
    for registry in &model.registries {
        let ends = registry.endpoints.iter().filter_map(|end| end.origin.as_ref().or(registry.name.as_ref()));
        ends.for_each(|origin| add(origin, None));
    }
    for pair in model.pairs.iter().map(|entry| &entry.pair) {
        add(&pair.registry, None);
        add(&pair.other, lender(model, pair));
    }
    token_hosts.iter().for_each(|origin| add(origin, None));
    let mut out = String::from("static_resources:\n  clusters:\n");
    for ((origin, lender), name) in &clusters {
        cluster(&mut out, model, (origin, lender.as_ref()), name, system);
    }
    let _ = writeln!(out, "---\n{:#}", plugin(model, &clusters, token_hosts));
    out
}

/// An origin, and the registry that lends it its certificate; the name of their cluster.
type Clusters = BTreeMap<(Origin, Option<Origin>), String>;

fn name(origin: &Origin, lender: Option<&Origin>) -> String {
    let plain = |origin: &Origin| {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        format!("{}-{}", origin.host().chars().map(plain).collect::<String>(), origin.port())
    };
    let of = lender.map(|lender| format!("-of-{}", plain(lender))).unwrap_or_default();
    format!("regauth-{}-{}{of}", origin.scheme().as_str(), plain(origin))
}

/// The registry of a pair, where its certificate is shown to the other origin: as the hop policy has it.
fn lender<'a>(model: &Model, pair: &'a Pair) -> Option<&'a Origin> {
    let own = |host: &&HostEntry| !host.identities.is_empty() || host.unusable.is_some();
    let has_own = model.hosts.iter().filter(|host| host.origin.as_ref() == Some(&pair.other)).any(|host| own(&host));
    (pair.identity && pair.other.is_https() && !has_own).then_some(&pair.registry)
}

/// What the sources say of an origin; of one that they do not name, what they say of all.
fn entries<'a>(model: &'a Model, origin: &'a Origin) -> Vec<&'a HostEntry> {
    let of = |wanted: Option<&Origin>| model.hosts.iter().filter(|host| host.origin.as_ref() == wanted).collect();
    let own: Vec<&HostEntry> = of(Some(origin));
    if own.is_empty() { of(None) } else { own }
}

/// Quoted as JSON, which is YAML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn cluster(
    out: &mut String,
    model: &Model,
    (origin, lender): (&Origin, Option<&Origin>),
    name: &str,
    system: Option<&str>,
) {
    let entries = entries(model, origin);
    let timeout = entries.iter().find_map(|host| host.dial_timeout).unwrap_or(5000);
    let _ = write!(
        out,
        "  - name: {name}
    type: STRICT_DNS
    connect_timeout: {}.{:03}s
    # A 401 is retried with the token: each of these takes one retry.
    circuit_breakers: {{thresholds: [{{max_retries: 10000}}]}}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}
",
        timeout / 1000,
        timeout % 1000,
        quoted(origin.server_name()),
        origin.port(),
    );
    if !origin.is_https() {
        return;
    }
    let _ = write!(
        out,
        "    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
"
    );
    if origin.literal().is_none() {
        let _ = writeln!(out, "        sni: {}", quoted(origin.host()));
    }
    let _ = writeln!(out, "        common_tls_context:");
    // Envoy takes one certificate for a connection that it makes.
    let shown = lender.map_or_else(|| entries.clone(), |lender| self::entries(model, lender));
    let leave = entries.iter().any(|host| host.wildcard_identity == Some(true));
    let may = |host: &&&HostEntry| host.origin.is_some() || leave;
    let pair = shown.iter().filter(may).flat_map(|host| &host.identities).next();
    if let Some(pair) = pair {
        let _ = write!(
            out,
            "          tls_certificates:
          - certificate_chain: {{filename: {}}}
            private_key: {{filename: {}}}
",
            quoted(&pair.certificate),
            quoted(&pair.key),
        );
    }
    if let Some(why) = shown.iter().filter(may).find_map(|host| host.unusable.as_deref()) {
        let _ = writeln!(out, "          # No certificate, as it cannot be used: {}", why.replace('\n', " "));
    }
    if entries.iter().any(|host| host.skip_verify == Some(true)) {
        let _ = writeln!(out, "          validation_context: {{trust_chain_verification: ACCEPT_UNTRUSTED}}");
        return;
    }
    let files: Vec<&str> = entries.iter().flat_map(|host| &host.ca).map(|ca| ca.file.as_str()).collect();
    let only = entries.iter().find_map(|host| host.ca_replaces) == Some(true);
    let first = files.first().copied().or(system).unwrap_or("/etc/ssl/certs/ca-certificates.crt");
    let kind = if origin.literal().is_some() { "IP_ADDRESS" } else { "DNS" };
    let _ = write!(
        out,
        "          validation_context:
            trusted_ca: {{filename: {}}}
            match_typed_subject_alt_names:
            - {{san_type: {kind}, matcher: {{exact: {}}}}}
",
        quoted(first),
        quoted(origin.server_name()),
    );
    let rest = files.len().saturating_sub(1) + usize::from(!only && !files.is_empty() && system.is_some());
    if rest > 0 {
        let _ = writeln!(out, "            # Envoy takes one file: to trust these too, join them: {}", {
            let more = files.iter().skip(1).copied().chain(system.filter(|_| !only));
            more.collect::<Vec<_>>().join(" ")
        });
    }
}

/// Registry to cluster, and for each the realms that its challenges may name.
fn plugin(model: &Model, clusters: &Clusters, token_hosts: &[Origin]) -> Value {
    let tokens = |registry: &Origin| -> Value {
        let paired = model.pairs.iter().map(|entry| &entry.pair);
        let paired = paired
            .filter(|pair| pair.kind == PairKind::Token && pair.registry == *registry)
            .map(|pair| (&pair.other, lender(model, pair)));
        let others = std::iter::once(registry).chain(token_hosts).map(|realm| (realm, None));
        // Of those with the same name the last one stays: what a pair says.
        others
            .chain(paired)
            .filter_map(|(realm, lender)| {
                let cluster = clusters.get(&(realm.clone(), lender.cloned()))?;
                Some((realm.to_string(), Value::from(cluster.as_str())))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let is_token = |origin: &Origin| {
        token_hosts.contains(origin)
            || model.pairs.iter().any(|entry| entry.pair.other == *origin && entry.pair.registry != *origin)
    };
    let registries: serde_json::Map<String, Value> = clusters
        .iter()
        .filter(|((origin, lender), _)| lender.is_none() && !is_token(origin))
        .map(|((origin, _), cluster)| (origin.to_string(), json!({ "cluster": cluster, "realms": tokens(origin) })))
        .collect();
    json!({ "placement": "upstream", "registries": registries })
}
