//! The side that connects.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::certificate::{CertificateFacts, chain_facts, root_facts};
use super::pem::{Identity, PemSource};
use super::{TlsError, TlsMin, provider};

/// How to connect with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTlsSettings {
    /// The authorities that may have signed the server's certificate. Required: there is no built-in list.
    pub roots: PemSource,
    /// Our certificate, for mutual TLS.
    pub identity: Option<Identity>,
    /// The name the server's certificate must hold; the address's host where unset.
    pub server_name: Option<String>,
    pub min: TlsMin,
}

/// A client configuration that can be read again from its sources.
#[derive(Debug)]
pub struct ClientTls {
    settings: ClientTlsSettings,
    current: RwLock<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    config: Arc<ClientConfig>,
    certificates: Vec<CertificateFacts>,
}

impl ClientTls {
    /// Reads everything the settings name.
    ///
    /// # Errors
    /// See [`TlsError`]; also when key and certificate do not belong together.
    pub fn load(settings: ClientTlsSettings) -> Result<Self, TlsError> {
        if let Some(name) = &settings.server_name {
            parse_name(name)?;
        }
        let current = RwLock::new(read(&settings)?);
        Ok(Self { settings, current })
    }

    /// Reads the sources again; connections made from now on use the new material. On an error the old stays in use.
    ///
    /// # Errors
    /// As [`ClientTls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.settings)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// Our chain and our roots, with their last days.
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).certificates.clone()
    }

    pub(in crate::transport) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        parse_name(self.settings.server_name.as_deref().unwrap_or(host))
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

fn read(settings: &ClientTlsSettings) -> Result<Loaded, TlsError> {
    let (store, roots) = settings.roots.roots("trusted roots")?;
    let mut certificates = root_facts(&roots)?;
    let builder = ClientConfig::builder_with_provider(provider()?)
        .with_protocol_versions(settings.min.versions())
        .map_err(|source| TlsError::Refused { what: "protocol versions", source })?
        .with_root_certificates(store);
    let config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = identity.chain.certificates("client certificate chain")?;
            certificates.extend(chain_facts(&chain)?);
            builder
                .with_client_auth_cert(chain, identity.key.key()?)
                .map_err(|source| TlsError::Refused { what: "client certificate and key", source })?
        }
    };
    Ok(Loaded { config: Arc::new(config), certificates })
}
