//! Certificates and keys out of PEM files or bytes.

use std::fmt;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// Where PEM text comes from. A file is read again at every reload.
#[derive(Clone, PartialEq, Eq)]
pub enum PemSource {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// Our certificate chain, leaf first, and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub chain: PemSource,
    pub key: PemSource,
}

impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&crate::transport::Redacted(bytes.len())).finish(),
        }
    }
}

impl PemSource {
    /// The file's path, or that it was given directly.
    pub(super) fn label(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes(_) => "the bytes given".to_owned(),
        }
    }

    fn read(&self, what: &'static str) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(path) => {
                std::fs::read(path).map_err(|source| TlsError::Read { what, from: self.label(), source })
            }
            Self::Bytes(bytes) => Ok(bytes.clone()),
        }
    }

    pub(super) fn certificates(&self, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = self.read(what)?;
        let certificates = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TlsError::Damaged { what, from: self.label() })?;
        if certificates.is_empty() {
            return Err(TlsError::Missing { what, from: self.label() });
        }
        Ok(certificates)
    }

    /// The underlying error is left out: it may quote the line it stumbled over.
    pub(in crate::transport) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        const WHAT: &str = "private key";
        let text = self.read(WHAT)?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::Missing { what: WHAT, from: self.label() },
            _ => TlsError::Damaged { what: WHAT, from: self.label() },
        })
    }

    pub(super) fn roots(&self, what: &'static str) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
        let certificates = self.certificates(what)?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|source| TlsError::Refused { what, source })?;
        }
        Ok((store, certificates))
    }
}
