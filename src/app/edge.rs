//! The gRPC edge and the metrics page, from config.

use super::endpoints::Ready;
use super::gates;
use super::metrics::{self, Metrics, Watched, WatchedCertificate, WatchedEndpoint};
use super::packs::{Desk, Keeper};
use super::serve::StartError;
use crate::adapter::Packs;
use crate::api::{self, ApiParts, EndpointFacts, EndpointPacks, Principal, Principals, Rendering, Settings};
use crate::config::{Config, Role, San, ServerTls};
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::organisation::OdsCode;
use crate::domain::policy::{AcknowledgedBy, FiledBy};
use crate::store::{Store, passing};
use crate::transport::tls::{CertificateFacts, CertificateRole, facts};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the edge is made from.
pub struct EdgeParts<'a> {
    pub config: &'a Config,
    pub keeper: &'a Arc<Keeper>,
    pub endpoints: &'a [Ready],
    pub store: &'a Store,
    pub clock: &'a Arc<dyn Clock>,
    pub entropy: &'a Arc<dyn Entropy>,
    pub stop: &'a CancellationToken,
}

/// Binds, so that a port in use is said at start; serving begins with the future.
pub async fn bind(parts: EdgeParts<'_>) -> Result<(SocketAddr, impl Future<Output = ()> + Send + use<>), StartError> {
    let server = &parts.config.server;
    let listener = listen("[server] listen", server.listen).await?;
    let address = listener.local_addr().map_err(StartError::one)?;
    let principals = principals(parts.config);
    if server.development_principal {
        tracing::warn!(
            %address,
            "DEVELOPMENT PRINCIPAL: everybody on this machine may do everything, with every role in every trust; never with real patients"
        );
    }
    let endpoints = parts.endpoints.iter().zip(&parts.keeper.slots).map(|(ready, slot)| {
        let desk = Desk { keeper: parts.keeper.clone(), slot: slot.clone() };
        endpoint_facts(ready, &parts, Arc::new(desk))
    });
    let folder = parts.config.packs.folder.clone();
    let api = ApiParts {
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        entropy: parts.entropy.clone(),
        principals,
        endpoints: endpoints.collect(),
        retired: parts.config.retired_endpoints.iter().cloned().collect(),
        packs: Arc::new(move || Packs::load_each(&folder).0),
        settings: Settings {
            max_request_bytes: server.max_request_bytes,
            max_concurrent_calls: server.max_concurrent_calls,
            request_timeout: server.request_timeout,
            health: server.health,
            reflection: server.reflection,
            grpc_web: server.grpc_web,
            ..Settings::default()
        },
        tls: server.tls.as_ref().map(pem).transpose()?,
        shutdown: parts.stop.clone(),
    };
    let stop = parts.stop.clone();
    let serve = async move {
        if let Err(e) = api::serve(api, listener).await {
            tracing::error!(reason = %e, "the gRPC edge ended; the bridge stops");
            stop.cancel();
        }
    };
    Ok((address, serve))
}

async fn listen(what: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|e| StartError {
        may_pass: passing::io(&e),
        ..StartError::one(format!("{what} = \"{address}\": {e}; {}", instead(&e)))
    })
}

/// What is to be done where nobody can listen.
fn instead(e: &std::io::Error) -> &'static str {
    match e.kind() {
        std::io::ErrorKind::AddrInUse => "stop whatever uses it, or choose another port",
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address now; bring it up, or choose another"
        }
        std::io::ErrorKind::PermissionDenied => {
            "choose a port from 1024 upwards, or let the bridge's account use this one"
        }
        _ => "see what the machine lacks, and start it again",
    }
}

fn pem(tls: &ServerTls) -> Result<api::ServerTls, StartError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|e| StartError::one(format!("[server.tls] {}: {e}", path.display())));
    let ca = tls
        .client_ca_file
        .as_deref()
        .ok_or_else(|| StartError::one("[server.tls] client_ca_file is required: it says who may call"))?;
    Ok(api::ServerTls { certificates: read(&tls.cert_file)?, key: read(&tls.key_file)?, client_ca: read(ca)? })
}

fn principals(config: &Config) -> Principals {
    if config.server.development_principal {
        let trusts: Vec<OdsCode> = config.trusts.iter().map(|t| t.ods.clone()).collect();
        return Principals::development(trusts, config.endpoints.iter().map(|e| e.id.clone()));
    }
    Principals::new(config.principals.iter().map(|p| {
        let san = match &p.san {
            San::Dns(name) => api::San::Dns(name.clone()),
            San::Uri(uri) => api::San::Uri(uri.clone()),
        };
        let roles = p.roles.iter().map(|role| match role {
            Role::IpsWorker => api::Role::IpsWorker,
            Role::EprSystem => api::Role::EprSystem,
            Role::Integrator => api::Role::Integrator,
            Role::Auditor => api::Role::Auditor,
        });
        let principal = Principal {
            name: p.name.clone(),
            roles: roles.collect(),
            trusts: p.trusts.iter().cloned().collect(),
            endpoints: p.endpoints.iter().cloned().collect(),
        };
        (san, principal)
    }))
}

fn endpoint_facts(ready: &Ready, parts: &EdgeParts<'_>, packs: Arc<dyn EndpointPacks>) -> EndpointFacts {
    let maintenance = ready.config.maintenance.clone();
    let staff = parts.config.trust(&ready.config.trust).map(|t| t.staff.clone());
    let id = ready.config.id.clone();
    EndpointFacts {
        id: id.clone(),
        trust: ready.config.trust.clone(),
        name: ready.config.name.clone(),
        environment: ready.config.environment,
        filed_by: filed_by(ready),
        evidence_overdue_after: ready.config.evidence_overdue_after,
        in_maintenance: Arc::new(move |now| maintenance.until(now).is_some()),
        rendering: Rendering {
            in_use: ready.in_use.clone(),
            options: ready.options.clone(),
            staff: Arc::new(move |author| {
                staff.as_ref().and_then(|t| t.find(author, &id)).map(|s| (s.epr_id.clone(), s.epr_name.clone()))
            }),
        },
        packs,
        way_in: Some(gates::way_in(ready, parts.store, parts.clock, parts.entropy)),
        feed: gates::feed(&ready.sender),
    }
}

/// How strong the evidence for FILED is here, with who allowed less than proof.
fn filed_by(ready: &Ready) -> String {
    let by = match ready.config.acknowledged_by {
        AcknowledgedBy::Record => "the record",
        AcknowledgedBy::Engine => "an integration engine",
    };
    match ready.config.filed_by {
        FiledBy::ApplicationAck => format!("application_ack from {by}"),
        FiledBy::ReadBack => "read_back from the record".into(),
        FiledBy::VendorReport => "vendor_report".into(),
        FiledBy::Reconciled => "reconciled with the record's own list".into(),
        FiledBy::TransportAck => match &ready.config.approval {
            Some(a) => format!("transport_ack from {by}, which proves receipt only; approved by {} on {}", a.by, a.on),
            None => format!("transport_ack from {by}, which proves receipt only"),
        },
    }
}

/// What metrics watch.
pub fn watched(config: &Config, endpoints: &[Ready]) -> Watched {
    let mut certificates: Vec<WatchedCertificate> = endpoints
        .iter()
        .filter(|e| e.config.transport.has_tls())
        .map(|e| {
            let sender = e.sender.clone();
            let own = e.certificates.clone();
            let facts = move || own.iter().cloned().chain(sender.peer_certificate()).collect();
            WatchedCertificate {
                name: format!("endpoint.{}.{}.tls", e.config.id, e.config.transport.word()),
                facts: Box::new(facts),
            }
        })
        .collect();
    if let Some(tls) = &config.server.tls {
        let file = tls.cert_file.clone();
        certificates.push(WatchedCertificate { name: "server.tls".into(), facts: Box::new(move || in_file(&file)) });
    }
    let endpoints = endpoints
        .iter()
        .map(|e| {
            let sender = e.sender.clone();
            WatchedEndpoint {
                id: e.config.id.clone(),
                evidence_overdue_after: e.config.evidence_overdue_after,
                listens: e.config.listens(),
                is_alone: Box::new(move || sender.is_alone()),
            }
        })
        .collect();
    Watched { endpoints, retired: config.retired_endpoints.clone(), certificates }
}

fn in_file(path: &Path) -> Vec<CertificateFacts> {
    let Ok(pem) = std::fs::read(path) else { return Vec::new() };
    CertificateDer::pem_slice_iter(&pem).flatten().filter_map(|der| facts(CertificateRole::Own, &der).ok()).collect()
}

/// The metrics page, when config asks for one.
pub async fn metrics_page(
    config: &Config,
    metrics: &Arc<Metrics>,
    ready: watch::Receiver<bool>,
    stop: &CancellationToken,
) -> Result<Option<(SocketAddr, impl Future<Output = ()> + Send + use<>)>, StartError> {
    let Some(address) = config.server.metrics_listen else { return Ok(None) };
    let listener = listen("[server] metrics_listen", address).await?;
    let address = listener.local_addr().map_err(StartError::one)?;
    let (metrics, stop) = (metrics.clone(), stop.clone());
    let serve = async move {
        if let Err(e) = metrics::serve(listener, metrics, ready, stop).await {
            tracing::error!(reason = %e, "the metrics page ended");
        }
    };
    Ok(Some((address, serve)))
}
