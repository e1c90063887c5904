//! The server: every service on one listener, with health, reflection and gRPC-Web.

use super::Settings;
use super::edge::Edge;
use super::endpoint::EndpointFacts;
use super::incoming::{self, CONNECTIONS_MAX};
use super::principal::Principals;
use super::{
    adapters::Adapters, delivery::Deliveries, feed::RecordFeed, inbound::InboundMessages, notes::ProgressNotes,
    outcomes::Outcomes, patients::Patients, referrals::Referrals, undecoded,
};
use crate::adapter::Packs;
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::organisation::EndpointId;
use crate::store::Store;
use crate::wire::v1::adapter_service_server::AdapterServiceServer;
use crate::wire::v1::delivery_service_server::DeliveryServiceServer;
use crate::wire::v1::inbound_service_server::InboundServiceServer;
use crate::wire::v1::outcome_service_server::OutcomeServiceServer;
use crate::wire::v1::patient_service_server::PatientServiceServer;
use crate::wire::v1::progress_note_service_server::ProgressNoteServiceServer;
use crate::wire::v1::record_feed_service_server::RecordFeedServiceServer;
use crate::wire::v1::referral_service_server::ReferralServiceServer;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;

/// A connection over which nothing comes is asked, and dropped when it does not answer: without this a client behind a broken network never
/// notices.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection at once.
const STREAMS_PER_CONNECTION: u32 = 1000;

/// Everything the edge is made of. `app` fills it in.
pub struct ApiParts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub principals: Principals,
    /// Every endpoint of the config.
    pub endpoints: Vec<EndpointFacts>,
    /// Endpoints that are served no more and may still have deliveries.
    pub retired: BTreeSet<EndpointId>,
    /// What the packs' folder holds.
    pub packs: ListPacks,
    pub settings: Settings,
    /// `None`: plain, on loopback only.
    pub tls: Option<ServerTls>,
    /// Cancelled: no new calls, streams end, calls under way are answered, then [`serve`] returns.
    pub shutdown: CancellationToken,
}

/// Reads the packs' folder; those that cannot be loaded are left out.
pub type ListPacks = Arc<dyn Fn() -> Packs + Send + Sync>;

/// In PEM. Client certificates are required: without them nobody is authenticated.
pub struct ServerTls {
    pub certificates: Vec<u8>,
    pub key: Vec<u8>,
    pub client_ca: Vec<u8>,
}

/// Why the edge cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{0} can be reached from other machines, and there is no TLS; add [server.tls], or listen on 127.0.0.1")]
    PlainBeyondLoopback(SocketAddr),
    #[error("the development principal lets in everyone; it cannot be used with TLS")]
    DevelopmentWithTls,
    #[error("cannot use the listener: {0}")]
    Listener(#[from] std::io::Error),
    #[error("cannot serve gRPC: {}", with_source(.0))]
    Transport(#[from] tonic::transport::Error),
    #[error("cannot describe the services for reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// tonic says only that something went wrong; what, its source knows.
fn with_source(e: &tonic::transport::Error) -> String {
    let source = std::error::Error::source(e).map(|s| format!(": {s}")).unwrap_or_default();
    format!("{e}{source}")
}

/// Serves until `shutdown` is cancelled and every call is answered.
pub async fn serve(parts: ApiParts, listener: TcpListener) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if parts.tls.is_none() && !address.ip().is_loopback() {
        return Err(ServeError::PlainBeyondLoopback(address));
    }
    if parts.tls.is_some() && parts.principals.is_development() {
        return Err(ServeError::DevelopmentWithTls);
    }
    let ApiParts { store, clock, entropy, principals, endpoints, retired, packs, settings, tls, shutdown } = parts;
    let edge = Arc::new(Edge {
        store,
        clock,
        entropy,
        principals,
        endpoints: endpoints.into_iter().map(|e| (e.id.clone(), e)).collect(),
        retired,
        packs,
        settings,
        shutdown: shutdown.clone(),
        calls: Arc::new(Semaphore::new(settings.max_concurrent_calls)),
        streams: Arc::new(Semaphore::new(settings.max_streams)),
        measures: Semaphore::new(1),
    });
    let (health, routes) = routes(edge, &settings).await?;
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .accept_http1(settings.grpc_web);
    if let Some(tls) = tls {
        let identity = Identity::from_pem(tls.certificates, tls.key);
        let ca = Certificate::from_pem(tls.client_ca);
        let config = ServerTlsConfig::new().identity(identity).client_ca_root(ca).timeout(HANDSHAKE_TIMEOUT);
        server = server.tls_config(config)?;
    }
    let incoming = incoming::connections(listener, CONNECTIONS_MAX);
    let stop = shutdown.clone();
    let end = async move {
        stop.cancelled().await;
        say_goodbye(health).await;
    };
    let tell = tower::util::MapResponseLayer::new(undecoded::told::<tonic::body::Body>);
    let serving = async move {
        if settings.grpc_web {
            server
                .layer(GrpcWebLayer::new())
                .layer(tell)
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, end)
                .await
        } else {
            server.layer(tell).add_routes(routes).serve_with_incoming_shutdown(incoming, end).await
        }
    };
    tokio::select! {
        served = serving => Ok(served?),
        () = async { shutdown.cancelled().await; tokio::time::sleep(settings.request_timeout).await } => {
            tracing::warn!("some connections did not end in time; they are closed");
            Ok(())
        }
    }
}

/// Those who watch our health are told, and their streams end: otherwise they would keep the server from ending.
async fn say_goodbye(mut health: HealthReporter) {
    for name in SERVICES.iter().copied().chain([""]) {
        health.set_service_status(name, ServingStatus::NotServing).await;
        health.clear_service_status(name).await;
    }
}

const SERVICES: [&str; 8] = [
    PatientServiceServer::<Patients>::NAME,
    ReferralServiceServer::<Referrals>::NAME,
    ProgressNoteServiceServer::<ProgressNotes>::NAME,
    OutcomeServiceServer::<Outcomes>::NAME,
    DeliveryServiceServer::<Deliveries>::NAME,
    RecordFeedServiceServer::<RecordFeed>::NAME,
    InboundServiceServer::<InboundMessages>::NAME,
    AdapterServiceServer::<Adapters>::NAME,
];

async fn routes(edge: Arc<Edge>, settings: &Settings) -> Result<(HealthReporter, Routes), ServeError> {
    macro_rules! limited {
        ($server:ident, $service:ident) => {
            $server::new($service(edge.clone()))
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(settings.max_request_bytes)
        };
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in SERVICES {
        health.set_service_status(name, ServingStatus::Serving).await;
    }
    let mut routes = Routes::builder();
    routes
        .add_service(limited!(PatientServiceServer, Patients))
        .add_service(limited!(ReferralServiceServer, Referrals))
        .add_service(limited!(ProgressNoteServiceServer, ProgressNotes))
        .add_service(limited!(OutcomeServiceServer, Outcomes))
        .add_service(limited!(DeliveryServiceServer, Deliveries))
        .add_service(limited!(RecordFeedServiceServer, RecordFeed))
        .add_service(limited!(InboundServiceServer, InboundMessages))
        .add_service(limited!(AdapterServiceServer, Adapters));
    if settings.health {
        routes.add_service(health_service);
    }
    if settings.reflection {
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(crate::wire::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        routes.add_service(described().build_v1()?);
        routes.add_service(described().build_v1alpha()?);
    }
    Ok((health, routes.routes()))
}
