//! TLS to a server: whom to trust, and what went wrong in words.
//!
//! `rustls` with the provider that the AWS SDK brings. The chain, the name and the dates are always checked; there is no
//! switch to leave that out.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use valkeep_core::access::Tls;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// What was given as authority is none.
    #[error("the certificate authority to trust cannot be read: {0}")]
    Authority(String),
    /// What was given as name is none.
    #[error("`{0}` is no name that a certificate can be for")]
    Name(String),
    /// The two could not agree.
    #[error("{}", broken(.0))]
    Broken(io::Error),
}

/// Shakes hands over an open connection.
pub(crate) async fn encrypt(
    stream: TcpStream,
    address: SocketAddr,
    tls: &Tls,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = match &tls.server_name {
        Some(name) => ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))?,
        None => ServerName::IpAddress(address.ip().into()),
    };
    let config = config(tls).map_err(TlsError::Authority)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(TlsError::Broken)
}

/// Whether a broken connection broke over TLS.
pub(crate) fn is_tls(error: &io::Error) -> bool {
    cause(error).is_some()
}

fn config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(tls.ca_pem.as_deref())?)
        .with_no_client_auth())
}

fn roots(ca_pem: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = ca_pem else {
        // A machine has odd certificates among its good ones; they are left out.
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err("none was given, and this system trusts none".to_owned());
        }
        return Ok(roots);
    };
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("it has no certificate in PEM (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    Ok(roots)
}

fn broken(error: &io::Error) -> String {
    match cause(error) {
        Some(Error::InvalidCertificate(why)) => refused_certificate(why),
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "it demands a client's certificate, and valkeep has none to show: set `tls-auth-clients no`".to_owned()
        }
        Some(Error::AlertReceived(alert)) => format!("it broke TLS off with the alert {alert:?}"),
        Some(Error::InvalidMessage(_)) => "it does not speak TLS on this port".to_owned(),
        Some(other) => format!("TLS failed: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it closed the connection when TLS began; it may not speak it on this port".to_owned()
        }
        None => format!("TLS failed: {error}"),
    }
}

fn refused_certificate(why: &CertificateError) -> String {
    // The library's own word for it has no type here.
    if matches!(why, CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity") {
        return "its certificate is refused: it is an authority's own (CA:TRUE), as `openssl req -x509` makes it; let an authority \
                sign one for the server"
            .to_owned();
    }
    let hint = match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the authority that valkeep was told to trust has not signed it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the server needs a new one",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it belongs to another server, or valkeep was told another name"
        }
        _ => "valkeep does not talk to it",
    };
    format!("its certificate is refused: {why}; {hint}")
}

fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}
