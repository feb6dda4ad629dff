//! nginx in front: the hosts that a client sees, and the log that tells what it showed them.

use std::fmt::Write as _;
use std::fs;
use std::io::Result;
use std::net::SocketAddr;

use crate::log::FORMAT;
use crate::pki::Pki;
use crate::process::{Process, Program, TempDir};

/// One host: an address, whether it wants a client certificate, and what stands behind its paths.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    /// `on`, `optional` or `optional_no_ca` of nginx's `ssl_verify_client`.
    pub(crate) verify: &'static str,
    /// A regular expression and the origin that `GET` of such a path is redirected to by 307.
    pub(crate) redirect: Option<(&'static str, SocketAddr)>,
    /// Path prefixes and the plain http servers behind them.
    pub(crate) behind: Vec<(&'static str, SocketAddr)>,
}

/// Starts one nginx for all hosts. `barrier` is an address of its own, plain and not logged.
pub(crate) fn start(
    directory: &TempDir,
    pki: &Pki,
    protocols: &str,
    hosts: &[Host],
    barrier: SocketAddr,
) -> Result<Process> {
    fs::create_dir_all(directory.join("nginx"))?;
    let config = directory.join("nginx.conf");
    fs::write(&config, configuration(pki, protocols, hosts, barrier))?;
    let mut command = Program::Nginx.command()?;
    // The prefix is ours, so that nothing of the machine's own nginx is read or written.
    command.arg("-p").arg(directory.join("nginx")).arg("-c").arg(config).args(["-e", "stderr"]);
    let ports: Vec<_> = hosts.iter().map(|host| host.address).chain([barrier]).collect();
    Process::start(command, &directory.join("nginx.log"), &ports)
}

fn configuration(pki: &Pki, protocols: &str, hosts: &[Host], barrier: SocketAddr) -> String {
    // One process, so that ending it leaves no worker behind, and requests are logged in the order they end.
    let mut text = format!(
        r#"daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events {{ worker_connections 512; }}
http {{
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  map $http_authorization $authz {{ default other; "" "-"; "~*^basic " Basic; "~*^bearer " Bearer; }}
  log_format hop '{FORMAT}';
  access_log access.log hop;
  keepalive_timeout 60s;
  client_max_body_size 0;
  ssl_protocols {protocols};
  ssl_session_cache shared:tls:1m;
  ssl_session_tickets on;
  ssl_certificate "{cert}";
  ssl_certificate_key "{key}";
  ssl_client_certificate "{ca}";
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-Proto https;
  server {{ listen {barrier}; access_log off; location / {{ return 204; }} }}
"#,
        cert = pki.server.cert.display(),
        key = pki.server.key.display(),
        ca = pki.ca.display(),
    );
    for host in hosts {
        _ = writeln!(text, "  server {{\n    listen {} ssl;\n    ssl_verify_client {};", host.address, host.verify);
        for (path, server) in &host.behind {
            _ = writeln!(text, "    location {path} {{ proxy_pass http://{server}; }}");
        }
        if let (Some((pattern, origin)), Some((_, server))) = (host.redirect, host.behind.first()) {
            _ = writeln!(
                text,
                "    location ~ {pattern} {{\n      if ($request_method = GET) {{ return 307 \
                 https://{origin}$request_uri; }}\n      proxy_pass http://{server};\n    }}"
            );
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}
