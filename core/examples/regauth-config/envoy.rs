//! Envoy clusters for the registries and token hosts of a configuration, and the plugin's own configuration.
//!
//! Two documents, separated by `---`: YAML for `static_resources`, and the JSON that the plugin is given. Each origin is
//! one cluster, so that a certificate is only ever shown to the origin that it is for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regauth::config::{HostEntry, Model};
use regauth::{Origin, PairKind};
use serde_json::{Value, json};

/// Both documents. `system`: the file of the system's certificate authorities, which those of a host are added to.
pub(crate) fn print(model: &Model, token_hosts: &[Origin], system: Option<&str>) -> String {
    let mut clusters: BTreeMap<Origin, String> = BTreeMap::new();
    let mut add = |origin: &Origin| {
        clusters.entry(origin.clone()).or_insert_with(|| name(origin));
    };
    let hosts = model.hosts.iter().filter_map(|host| host.origin.as_ref());
    let ends = model.registries.iter().flat_map(|registry| &registry.endpoints).filter_map(|end| end.origin.as_ref());
    hosts.chain(ends).for_each(&mut add);
    model.pairs.iter().for_each(|entry| {
        add(&entry.pair.registry);
        add(&entry.pair.other);
    });
    token_hosts.iter().for_each(&mut add);
    let mut out = String::from("static_resources:\n  clusters:\n");
    for (origin, name) in &clusters {
        cluster(&mut out, model, origin, name, system);
    }
    let _ = writeln!(out, "---\n{:#}", plugin(model, &clusters, token_hosts));
    out
}

fn name(origin: &Origin) -> String {
    let host: String =
        origin.host().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    format!("regauth-{}-{host}-{}", origin.scheme().as_str(), origin.port())
}

/// Quoted as JSON, which is YAML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn cluster(out: &mut String, model: &Model, origin: &Origin, name: &str, system: Option<&str>) {
    let entries: Vec<&HostEntry> = model.hosts.iter().filter(|host| host.origin.as_ref() == Some(origin)).collect();
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
    let pair = entries.iter().flat_map(|host| &host.identities).next();
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
    if let Some(why) = entries.iter().find_map(|host| host.unusable.as_deref()) {
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
fn plugin(model: &Model, clusters: &BTreeMap<Origin, String>, token_hosts: &[Origin]) -> Value {
    let tokens = |registry: &Origin| -> Value {
        let paired = model.pairs.iter().map(|entry| &entry.pair);
        let paired =
            paired.filter(|pair| pair.kind == PairKind::Token && pair.registry == *registry).map(|pair| &pair.other);
        let realms = std::iter::once(registry).chain(paired).chain(token_hosts);
        realms
            .filter_map(|realm| Some((realm.to_string(), Value::from(clusters.get(realm)?.as_str()))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let is_token = |origin: &Origin| {
        token_hosts.contains(origin)
            || model.pairs.iter().any(|entry| entry.pair.other == *origin && entry.pair.registry != *origin)
    };
    let registries: serde_json::Map<String, Value> = clusters
        .iter()
        .filter(|(origin, _)| !is_token(origin))
        .map(|(origin, cluster)| (origin.to_string(), json!({ "cluster": cluster, "realms": tokens(origin) })))
        .collect();
    json!({ "placement": "upstream", "registries": registries })
}
