//! What a certificate says: whose it is, its names, its last day.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::TlsError;

/// What a certificate is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRole {
    /// The one we show.
    Own,
    /// One between ours and its root.
    Intermediate,
    /// One we trust.
    Root,
    /// The one the far end showed.
    Peer,
}

/// One certificate, for metrics and `check-config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    pub role: CertificateRole,
    pub subject: String,
    /// The last instant at which it is valid.
    pub not_after: Timestamp,
}

/// The subject alternative names of a peer's certificate, by kind, in the certificate's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerNames {
    pub dns: Vec<String>,
    pub uri: Vec<String>,
}

/// Reads one DER certificate's facts.
///
/// # Errors
/// The bytes are no X.509 certificate.
pub fn facts(role: CertificateRole, der: &[u8]) -> Result<CertificateFacts, TlsError> {
    let certificate = parse(der)?;
    let not_after = certificate.validity().not_after.timestamp();
    Ok(CertificateFacts {
        role,
        subject: certificate.subject().to_string(),
        // Years beyond 9999 are clamped: such a certificate never expires for us.
        not_after: Timestamp::from_second(not_after).unwrap_or(Timestamp::MAX),
    })
}

/// The DNS and URI names in a peer certificate's subject alternative name. Only these count as its identity; the subject's
/// common name does not (RFC 9525).
///
/// # Errors
/// The bytes are no X.509 certificate, or its extension is damaged or there twice.
pub fn peer_names(der: &[u8]) -> Result<PeerNames, TlsError> {
    let certificate = parse(der)?;
    let extension = certificate.subject_alternative_name().map_err(|_| not_x509())?;
    let mut names = PeerNames::default();
    for name in extension.iter().flat_map(|e| &e.value.general_names) {
        match name {
            GeneralName::DNSName(dns) => names.dns.push((*dns).to_owned()),
            GeneralName::URI(uri) => names.uri.push((*uri).to_owned()),
            _ => {}
        }
    }
    Ok(names)
}

pub(super) fn chain_facts(chain: &[CertificateDer<'_>]) -> Result<Vec<CertificateFacts>, TlsError> {
    chain
        .iter()
        .enumerate()
        .map(|(i, der)| facts(if i == 0 { CertificateRole::Own } else { CertificateRole::Intermediate }, der))
        .collect()
}

pub(super) fn root_facts(roots: &[CertificateDer<'_>]) -> Result<Vec<CertificateFacts>, TlsError> {
    roots.iter().map(|der| facts(CertificateRole::Root, der)).collect()
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, TlsError> {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|_| not_x509())
}

fn not_x509() -> TlsError {
    TlsError::NotX509 { from: "the bytes given".to_owned() }
}
