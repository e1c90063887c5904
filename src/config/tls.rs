//! The TLS tables, which servers and clients share.

use super::section::Section;
use super::values::{choice, file, text};
use std::path::PathBuf;

/// The oldest TLS version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

/// Files for the side that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM: our certificate, then its intermediates.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// PEM: who may issue certificates to those who call us. `None` = callers need no certificate.
    pub client_ca_file: Option<PathBuf>,
    pub min_version: TlsVersion,
}

/// Files for the side that calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// PEM: whom we believe. The machine's own list is never used: trusts' integration engines have private authorities.
    pub ca_file: PathBuf,
    /// Our own certificate and key, for mutual TLS.
    pub identity: Option<ClientIdentity>,
    /// The name their certificate must bear; `None` = the host of the address.
    pub server_name: Option<String>,
    pub min_version: TlsVersion,
}

/// A client certificate, both files PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

const VERSIONS: &[(&str, TlsVersion)] = &[("1.3", TlsVersion::V1_3), ("1.2", TlsVersion::V1_2)];

fn min_version(s: &mut Section<'_>) -> TlsVersion {
    let version = s.or("min_version", "\"1.3\"", choice(VERSIONS));
    if version == TlsVersion::V1_2 {
        s.warn("min_version", "allows TLS 1.2", "raise it to \"1.3\" as soon as the other side can");
    }
    version
}

/// For `[server]`, where the client's certificate says who calls: `client_ca_file` is required.
pub(super) fn server_tls(mut s: Section<'_>) -> Option<ServerTls> {
    let (cert, key) = own_files(&mut s);
    let client_ca_file =
        s.required("client_ca_file", "name the PEM file of the authority that issues your callers' certificates", file);
    let min_version = min_version(&mut s);
    Some(ServerTls { cert_file: cert?, key_file: key?, client_ca_file: Some(client_ca_file?), min_version })
}

/// For `[endpoint.listen]`, where an EPR may have no certificate of its own.
pub(super) fn listener_tls(mut s: Section<'_>) -> Option<ServerTls> {
    let (cert, key) = own_files(&mut s);
    let client_ca_file = s.optional("client_ca_file", file);
    let min_version = min_version(&mut s);
    Some(ServerTls { cert_file: cert?, key_file: key?, client_ca_file, min_version })
}

fn own_files(s: &mut Section<'_>) -> (Option<PathBuf>, Option<PathBuf>) {
    let cert = s.required("cert_file", "name the PEM file of our certificate and its intermediates", file);
    let key = s.required("key_file", "name the PEM file of our private key", file);
    (cert, key)
}

pub(super) fn client_tls(mut s: Section<'_>) -> Option<ClientTls> {
    let ca_file =
        s.required("ca_file", "name the PEM file of the authority that issued the other side's certificate", file);
    let cert = s.optional("cert_file", file);
    let key = s.optional("key_file", file);
    if s.has("cert_file") != s.has("key_file") {
        let (there, missing) = if s.has("cert_file") { ("cert_file", "key_file") } else { ("key_file", "cert_file") };
        s.fault(there, format!("stands without {missing}"), format!("add {missing}, or remove {there}"));
    }
    let identity = cert.zip(key).map(|(cert_file, key_file)| ClientIdentity { cert_file, key_file });
    let server_name = s.optional("server_name", text(253));
    let min_version = min_version(&mut s);
    Some(ClientTls { ca_file: ca_file?, identity, server_name, min_version })
}
