//! Who calls: a system known by a name in its client certificate, or, for development on loopback only, anybody.

use crate::domain::organisation::{EndpointId, OdsCode};
use crate::store::Scope;
use rustls_pki_types::CertificateDer;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a principal may do. Which calls that means stands in [`super::rpc`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Writes and reads referrals, notes and outcomes.
    IpsWorker,
    /// An EPR: as an IPS worker, with the deliveries of its own endpoints only.
    EprSystem,
    /// Operates deliveries and endpoints, with clinical text masked.
    Integrator,
    /// Reads.
    Auditor,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::IpsWorker, Self::EprSystem, Self::Integrator, Self::Auditor];

    /// As config, audit and error messages name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::IpsWorker => "ips_worker",
            Self::EprSystem => "epr_system",
            Self::Integrator => "integrator",
            Self::Auditor => "auditor",
        }
    }
}

/// Somebody who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// As the audit shows it. Request ids and tokens are bound to it.
    pub name: String,
    pub roles: BTreeSet<Role>,
    pub trusts: BTreeSet<OdsCode>,
    /// For [`Role::EprSystem`]: the endpoints it speaks for.
    pub endpoints: BTreeSet<EndpointId>,
}

impl Principal {
    /// What it may touch when it acts in this role.
    pub fn scope(&self, role: Role) -> Scope {
        let scope = Scope::trusts(self.trusts.iter().cloned());
        if role == Role::EprSystem { scope.with_endpoints(self.endpoints.iter().cloned()) } else { scope }
    }
}

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum San {
    /// In lower case.
    Dns(String),
    Uri(String),
}

/// Everybody who may call.
#[derive(Debug, Clone, Default)]
pub struct Principals {
    by_san: HashMap<San, Arc<Principal>>,
    development: Option<Arc<Principal>>,
}

impl Principals {
    /// One certificate name, one principal; of two with the same name the last holds (config refuses that).
    pub fn new(known: impl IntoIterator<Item = (San, Principal)>) -> Self {
        let by_san = known.into_iter().map(|(san, principal)| (san, Arc::new(principal))).collect();
        Self { by_san, development: None }
    }

    /// Everybody on this machine, with every role and these trusts. [`super::serve`] refuses it with TLS or beyond loopback; whoever turns it on
    /// says so loudly.
    pub fn development(
        trusts: impl IntoIterator<Item = OdsCode>,
        endpoints: impl IntoIterator<Item = EndpointId>,
    ) -> Self {
        let everybody = Principal {
            name: "development".to_owned(),
            roles: Role::ALL.into_iter().collect(),
            trusts: trusts.into_iter().collect(),
            endpoints: endpoints.into_iter().collect(),
        };
        Self { by_san: HashMap::new(), development: Some(Arc::new(everybody)) }
    }

    pub(super) fn is_development(&self) -> bool {
        self.development.is_some()
    }

    /// Who is at the other end of this connection. `None`: nobody we know.
    pub(super) fn caller(&self, connection: &http::Extensions) -> Option<Arc<Principal>> {
        if let Some(tls) = connection.get::<TlsConnectInfo<TcpConnectInfo>>() {
            let certificates = tls.peer_certs()?;
            return self.by_certificate(certificates.first()?);
        }
        let tcp = connection.get::<TcpConnectInfo>()?;
        let here = tcp.remote_addr().is_some_and(|a| a.ip().is_loopback());
        self.development.clone().filter(|_| here)
    }

    /// The TLS layer has checked the chain; here only the names count. Names of two principals in one certificate are nobody's.
    fn by_certificate(&self, der: &CertificateDer<'_>) -> Option<Arc<Principal>> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let mut found: Option<&Arc<Principal>> = None;
        for name in &names.value.general_names {
            let san = match name {
                GeneralName::DNSName(name) => San::Dns(name.to_ascii_lowercase()),
                GeneralName::URI(uri) => San::Uri((*uri).to_owned()),
                _ => continue,
            };
            let Some(principal) = self.by_san.get(&san) else { continue };
            if found.is_some_and(|f| f.name != principal.name) {
                return None;
            }
            found = Some(principal);
        }
        found.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(name: &str) -> Principal {
        Principal {
            name: name.into(),
            roles: BTreeSet::from([Role::EprSystem]),
            trusts: BTreeSet::from([OdsCode::parse("RXX").expect("an ODS code")]),
            endpoints: BTreeSet::from([EndpointId::parse("rio").expect("an id")]),
        }
    }

    fn certificate(names: &[&str]) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|n| {
                let text = rcgen::string::Ia5String::try_from(*n).expect("ASCII");
                if n.contains("://") { rcgen::SanType::URI(text) } else { rcgen::SanType::DnsName(text) }
            })
            .collect();
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    #[test]
    fn a_certificate_is_known_by_its_alternative_name_whatever_the_case() {
        let known = Principals::new([
            (San::Dns("ips.example".into()), principal("provider")),
            (San::Uri("spiffe://trust.example/epr".into()), principal("epr")),
        ]);
        let name = |names: &[&str]| known.by_certificate(&certificate(names)).map(|p| p.name.clone());
        assert_eq!(name(&["IPS.example"]).as_deref(), Some("provider"));
        assert_eq!(name(&["other.example", "spiffe://trust.example/epr"]).as_deref(), Some("epr"));
        assert_eq!(name(&["other.example"]), None);
        assert_eq!(name(&["ips.example.evil.example"]), None);
    }

    #[test]
    fn a_certificate_with_the_names_of_two_principals_is_nobodys() {
        let known = Principals::new([
            (San::Dns("a.example".into()), principal("a")),
            (San::Dns("b.example".into()), principal("b")),
        ]);
        assert!(known.by_certificate(&certificate(&["a.example", "b.example"])).is_none());
    }

    #[test]
    fn only_an_epr_is_narrowed_to_its_endpoints() {
        let p = principal("epr");
        let (trust, other) = (OdsCode::parse("RXX").expect("a code"), EndpointId::parse("other").expect("an id"));
        assert!(!p.scope(Role::EprSystem).has_endpoint(&trust, &other));
        assert!(p.scope(Role::IpsWorker).has_endpoint(&trust, &other));
    }
}
