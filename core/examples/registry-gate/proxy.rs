//! Passing a request on to the registry, body and answer as they flow.

use std::net::SocketAddr;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderName, HeaderValue, TE, TRAILER, UPGRADE};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Error;
use crate::gate::Body;

/// Sends exactly the target that the guard has looked at. The registry behind asks for nothing, so the token stays here.
pub(crate) async fn pass_on(
    mut request: Request<Incoming>,
    target: &str,
    registry: SocketAddr,
) -> Result<Response<Body>, Error> {
    *request.uri_mut() = target.parse::<Uri>()?;
    let headers = request.headers_mut();
    // Fields for one connection (RFC 9110 section 7.6.1), and those that a registry might believe of anybody.
    for name in [AUTHORIZATION, CONNECTION, TE, TRAILER, UPGRADE] {
        headers.remove(name);
    }
    let forwarded = |name: &HeaderName| name.as_str().starts_with("x-forwarded-") || name == "forwarded";
    let names: Vec<HeaderName> = headers.keys().filter(|name| forwarded(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    // With `Host`, which stays, this is what the registry makes upload locations of.
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let stream = TcpStream::connect(registry).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Its errors come out of the request as well.
        _ = connection.await;
    });
    let answer = sender.send_request(request).await?;
    let (mut head, body) = answer.into_parts();
    head.headers.remove(CONNECTION);
    Ok(Response::from_parts(head, body.boxed()))
}
