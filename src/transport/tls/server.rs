//! The side that listens.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::certificate::{CertificateFacts, chain_facts, root_facts};
use super::pem::{Identity, PemSource};
use super::{TlsError, TlsMin, provider};

/// Whether callers must show a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    NotAsked,
    /// One that is shown must be signed by these roots; none may be shown.
    Optional(PemSource),
    /// Mutual TLS: no certificate signed by these roots, no connection.
    Required(PemSource),
}

/// How to listen with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTlsSettings {
    pub identity: Identity,
    pub clients: ClientCertificates,
    pub min: TlsMin,
    /// Application protocols in order of preference (`h2` for gRPC); empty for MLLP.
    pub alpn: Vec<Vec<u8>>,
}

/// A server configuration that can be read again from its sources.
#[derive(Debug)]
pub struct ServerTls {
    settings: ServerTlsSettings,
    current: RwLock<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    config: Arc<ServerConfig>,
    certificates: Vec<CertificateFacts>,
}

impl ServerTls {
    /// Reads everything the settings name.
    ///
    /// # Errors
    /// See [`TlsError`]; also when key and certificate do not belong together.
    pub fn load(settings: ServerTlsSettings) -> Result<Self, TlsError> {
        let current = RwLock::new(read(&settings)?);
        Ok(Self { settings, current })
    }

    /// Reads the sources again; connections accepted from now on use the new material. On an error the old stays in use.
    ///
    /// # Errors
    /// As [`ServerTls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.settings)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// Our chain and the client roots, with their last days.
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).certificates.clone()
    }
}

fn read(settings: &ServerTlsSettings) -> Result<Loaded, TlsError> {
    let provider = provider()?;
    let chain = settings.identity.chain.certificates("server certificate chain")?;
    let mut certificates = chain_facts(&chain)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(settings.min.versions())
        .map_err(|source| TlsError::Refused { what: "protocol versions", source })?;
    let builder = match &settings.clients {
        ClientCertificates::NotAsked => builder.with_no_client_auth(),
        ClientCertificates::Optional(source) | ClientCertificates::Required(source) => {
            let (store, roots) = source.roots("client roots")?;
            certificates.extend(root_facts(&roots)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
            let verifier = match &settings.clients {
                ClientCertificates::Required(_) => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(TlsError::ClientRoots)?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, settings.identity.key.key()?)
        .map_err(|source| TlsError::Refused { what: "server certificate and key", source })?;
    config.alpn_protocols.clone_from(&settings.alpn);
    Ok(Loaded { config: Arc::new(config), certificates })
}
