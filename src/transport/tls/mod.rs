//! TLS by rustls: configurations from PEM, certificates that can be read again without a restart, and what a
//! certificate says (its last day, its names). Revocation lists are not consulted.

mod certificate;
mod client;
mod pem;
mod server;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use certificate::{CertificateFacts, CertificateRole, PeerNames, facts, peer_names};
pub use client::{ClientTls, ClientTlsSettings};
pub use pem::{Identity, PemSource};
pub use server::{ClientCertificates, ServerTls, ServerTlsSettings};

/// The oldest protocol version to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMin {
    /// For far ends that cannot do better; the configuration should warn about it.
    V1_2,
    #[default]
    V1_3,
}

impl TlsMin {
    fn versions(self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        use rustls::version::{TLS12, TLS13};
        static FROM_1_2: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static FROM_1_3: [&rustls::SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::V1_2 => &FROM_1_2,
            Self::V1_3 => &FROM_1_3,
        }
    }
}

/// What is wrong with TLS material. Never holds any of the material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    #[error("cannot read {what} from {from}: {source}")]
    Read {
        what: &'static str,
        from: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{from} holds no {what} in PEM form")]
    Missing { what: &'static str, from: String },
    #[error("{from} holds a damaged PEM block where {what} should be")]
    Damaged { what: &'static str, from: String },
    #[error("the certificate in {from} cannot be read as X.509")]
    NotX509 { from: String },
    #[error("rustls refuses the {what}: {source}")]
    Refused {
        what: &'static str,
        #[source]
        source: rustls::Error,
    },
    #[error("the client roots cannot be used: {0}")]
    ClientRoots(#[source] rustls::server::VerifierBuilderError),
    #[error("{0} is neither a host name nor an address; set server_name")]
    ServerName(String),
    #[error("no crypto provider is installed; call install_crypto_provider first thing in main")]
    NoCryptoProvider,
}

/// Installs the crypto provider this build was made with (ring where both are compiled in). Calling it again is harmless;
/// a provider that someone else installed first stays.
pub fn install_crypto_provider() {
    #[cfg(feature = "ring")]
    let provider = rustls::crypto::ring::default_provider();
    #[cfg(all(feature = "aws-lc", not(feature = "ring")))]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(any(feature = "ring", feature = "aws-lc")))]
    compile_error!("choose a crypto provider: feature `ring` or `aws-lc`");
    // The error only says that there is one already.
    let _ = provider.install_default();
}

fn provider() -> Result<Arc<CryptoProvider>, TlsError> {
    CryptoProvider::get_default().cloned().ok_or(TlsError::NoCryptoProvider)
}
