//! rustls as a server, in this process.

use std::io::{Read as _, Result, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use regauth_servers::{Ask, Pki, Tls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};

/// Starts one; its thread ends with the test's process.
pub(crate) fn start(ask: Ask, tls: Tls, pki: &Pki) -> SocketAddr {
    let config = config(ask, tls, pki);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            // What goes wrong is the client's to say.
            _ = serve(socket, Arc::clone(&config));
        }
    });
    address
}

fn config(ask: Ask, tls: Tls, pki: &Pki) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let version = if tls == Tls::V12 { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[version]).unwrap();
    let builder = if ask == Ask::Required {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&pki.ca).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_file(&pki.server.cert).unwrap()];
    Arc::new(builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(&pki.server.key).unwrap()).unwrap())
}

fn serve(mut socket: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut connection = ServerConnection::new(config).unwrap();
    let mut stream = Stream::new(&mut connection, &mut socket);
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let n = stream.read(&mut piece)?;
        if n == 0 {
            return Ok(());
        }
        head.extend_from_slice(&piece[..n]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")?;
    connection.send_close_notify();
    connection.complete_io(&mut socket)?;
    Ok(())
}
