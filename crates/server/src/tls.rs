//! Encryption: certificates that are given, or an authority of one's own for development.
//!
//! The development authority is made once and kept, so that clients can be told to trust it; the
//! certificate that it signs is for this machine's own names only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use impasto_domain::{Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::hosts;

/// How connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// With a certificate for this machine's own names, signed by an authority that is made and kept
    /// in this folder as `ca.pem`.
    Development(PathBuf),
    /// With this certificate (and what is above it) and its key, as PEM files.
    Files {
        /// The certificate, then those above it.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

/// The file to be trusted by clients of [`Tls::Development`].
const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";

impl Tls {
    /// The file that clients must trust, if it is one of our own making.
    pub fn authority(&self) -> Option<PathBuf> {
        match self {
            Self::Development(folder) => Some(folder.join(AUTHORITY)),
            Self::Files { .. } => None,
        }
    }

    /// What encrypts connections.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor> {
        let (certificates, key) = match self {
            Self::Development(folder) => development(folder)?,
            Self::Files { certificate, key } => given(certificate, key)?,
        };
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_no_client_auth()
            .with_single_cert(certificates, key);
        let mut config = config.map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn unusable(error: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("the certificate cannot be used: {error}"))
        .hint("give a PEM certificate and its PEM key, or --tls-self-signed")
}

fn given(certificate: &Path, key: &Path) -> Result<Identity> {
    let unreadable = |path: &Path, error: rustls_pki_types::pem::Error| {
        Error::invalid(format!("'{}' cannot be read: {error}", path.display()))
            .hint("give a PEM file")
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    Ok((certificates, key))
}

/// A certificate for this machine's names, from the authority in `folder`.
fn development(folder: &Path) -> Result<Identity> {
    let issuer = authority(folder)?;
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(hosts::local_names().map(str::to_owned));
    let mut params = CertificateParams::new(names).map_err(|error| unusable(&error))?;
    params.distinguished_name.push(DnType::CommonName, "Impasto on this machine");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(|error| unusable(&error))?;
    let certificate = params.signed_by(&key, &issuer).map_err(|error| unusable(&error))?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| unusable(&error))?;
    Ok((vec![certificate.der().clone()], private))
}

fn authority(folder: &Path) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Impasto development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let kept = folder.join(AUTHORITY_KEY);
    if let Ok(text) = std::fs::read_to_string(&kept) {
        let key = KeyPair::from_pem(&text).map_err(|error| unusable(&error))?;
        return Ok(Issuer::new(params, key));
    }
    let key = KeyPair::generate().map_err(|error| unusable(&error))?;
    let certificate = params.self_signed(&key).map_err(|error| unusable(&error))?;
    let unwritable = |error: std::io::Error| {
        Error::unavailable(format!("'{}' cannot be written: {error}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    std::fs::write(folder.join(AUTHORITY), certificate.pem()).map_err(unwritable)?;
    write_private(&kept, key.serialize_pem().as_bytes()).map_err(unwritable)?;
    Ok(Issuer::new(params, key))
}

/// Writes a file that nobody else may read.
#[cfg(unix)]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Writes a file in the user's own folder.
#[cfg(not(unix))]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_made_once_and_what_is_no_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls::Development(folder.path().to_owned());
        tls.acceptor().unwrap();
        let first = std::fs::read(tls.authority().unwrap()).unwrap();
        tls.acceptor().unwrap();
        assert_eq!(std::fs::read(tls.authority().unwrap()).unwrap(), first);
        let bad = folder.path().join("bad.pem");
        std::fs::write(&bad, "paint").unwrap();
        let files = Tls::Files { certificate: bad.clone(), key: bad };
        assert!(files.acceptor().is_err());
    }
}
