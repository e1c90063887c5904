//! Config's file names become TLS that can be used, or a sentence that says which file is wrong.

use crate::config::{ClientTls, ServerTls, TlsVersion};
use crate::transport::tls::{
    self, ClientCertificates, ClientTlsSettings, Identity, PemSource, ServerTlsSettings, TlsError, TlsMin,
};
use std::path::Path;
use std::sync::Arc;

fn file(path: &Path) -> PemSource {
    PemSource::File(path.to_owned())
}

fn min(version: TlsVersion) -> TlsMin {
    match version {
        TlsVersion::V1_2 => TlsMin::V1_2,
        TlsVersion::V1_3 => TlsMin::V1_3,
    }
}

/// For connections we make.
pub fn client(config: &ClientTls) -> Result<Arc<tls::ClientTls>, TlsError> {
    let identity = config.identity.as_ref().map(|i| Identity { chain: file(&i.cert_file), key: file(&i.key_file) });
    let settings = ClientTlsSettings {
        roots: file(&config.ca_file),
        identity,
        server_name: config.server_name.clone(),
        min: min(config.min_version),
    };
    tls::ClientTls::load(settings).map(Arc::new)
}

/// For connections made to us. `alpn`: `h2` for gRPC, nothing for MLLP.
pub fn server(config: &ServerTls, alpn: &[&str]) -> Result<Arc<tls::ServerTls>, TlsError> {
    let clients = config
        .client_ca_file
        .as_deref()
        .map_or(ClientCertificates::NotAsked, |ca| ClientCertificates::Required(file(ca)));
    let settings = ServerTlsSettings {
        identity: Identity { chain: file(&config.cert_file), key: file(&config.key_file) },
        clients,
        min: min(config.min_version),
        alpn: alpn.iter().map(|a| a.as_bytes().to_vec()).collect(),
    };
    tls::ServerTls::load(settings).map(Arc::new)
}
