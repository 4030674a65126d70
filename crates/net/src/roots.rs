//! The authorities whose certificates are believed: those of the machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{Cause, NetError};

/// Where machines keep the bundle.
const USUAL_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
];

/// The terms on which the client agrees to encryption.
pub(crate) fn client_config(named: Option<&Path>) -> Result<Arc<ClientConfig>, NetError> {
    let file = named.map(Path::to_owned).or_else(|| {
        std::env::var_os("SSL_CERT_FILE").filter(|value| !value.is_empty()).map(PathBuf::from)
    });
    let usual = || USUAL_FILES.iter().map(PathBuf::from).find(|path| path.is_file());
    let file = file.or_else(usual).ok_or_else(|| {
        failed("no certificates of authorities were found on this machine".to_owned())
            .hint("install the package `ca-certificates`, or set SSL_CERT_FILE")
    })?;
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&file)
        .map_err(|error| failed(format!("'{}': {error}", file.display())))?;
    // A bundle may hold an entry that this library cannot read; the others still serve.
    roots.add_parsable_certificates(certificates.flatten());
    if roots.is_empty() {
        return Err(failed(format!("'{}' holds no certificate", file.display())));
    }
    // Named, because another crate may have brought a second one into the program.
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn failed(message: String) -> NetError {
    NetError::unsent(Cause::Encryption, message)
}
