//! The same AWS over TCP.

use crate::LocalAws;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Far above the largest request of valkeep (an object of some 100 KB); S3's own single-part limit is 5 GB.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Answers until `shutdown` is ready. Connections that are open then are closed; tasks go on until
/// [`LocalAws::shutdown`].
///
/// # Errors
/// When the listener cannot accept any more.
pub async fn serve(aws: LocalAws, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            // Finished ones are taken out, so that the set does not grow.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(connection(aws.clone(), stream));
            }
        }
    }
}

async fn connection(aws: LocalAws, stream: TcpStream) {
    let service = service_fn(move |request| answer(aws.clone(), request));
    let served = hyper::server::conn::http1::Builder::new()
        // The date of this machine is not the date here, and SDKs correct their clocks by it.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(aws: LocalAws, request: http::Request<Incoming>) -> io::Result<http::Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    // An error makes hyper close the connection without an answer, which is what a lost reply is.
    let response = aws
        .handle(http::Request::from_parts(head, body))
        .await
        .map_err(io::Error::other)?;
    Ok(response.map(Full::new))
}
