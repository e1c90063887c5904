//! The server around the services: who gets in, health, reflection, gRPC-Web, compression, limits, the end.

use crate::api_samples::*;
use crate::api_support::{Bridge, RIO, ods, open_store, parts, reason_of, rulebook, told};
use crate::support::{SetClock, stores};
use ips_bridge::api::{Principals, ServeError, ServerTls, serve};
use ips_bridge::wire::v1::{
    self, delivery_service_client::DeliveryServiceClient, patient_service_client::PatientServiceClient,
    referral_service_client::ReferralServiceClient,
};
use prost::Message;
use sqlx::Connection;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// Plain on loopback, under the development principal or none.
struct Plain {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), ServeError>>,
    _store: Box<dyn std::any::Any>,
}

async fn plain(principals: Principals) -> Plain {
    let store = stores().next().unwrap();
    let clock = Arc::new(SetClock::at(crate::api_support::NOW));
    let (record, _) = open_store(&store.url, &clock, rulebook(Default::default(), RIO)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(parts(record, clock, principals, None, stop.clone()), listener));
    Plain { address, stop, served, _store: Box::new(store) }
}

fn development() -> Principals {
    Principals::development([ods("RXX")], [crate::api_support::endpoint(RIO)])
}

async fn connect(address: std::net::SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn the_development_principal_may_do_everything_on_loopback() {
    let server = plain(development()).await;
    let channel = connect(server.address).await;
    let mut referrals = ReferralServiceClient::new(channel.clone());
    let made = referrals.create_referral(create("RXX", "")).await.unwrap().into_inner().referral.unwrap();
    let mut deliveries = DeliveryServiceClient::new(channel);
    let status = deliveries.get_endpoint_status(v1::GetEndpointStatusRequest::default()).await.unwrap().into_inner();
    assert_eq!(status.endpoints.len(), 2);
    let other = referrals.create_referral(create("RYY", "")).await.unwrap_err();
    assert_eq!(other.code(), Code::NotFound, "a trust it was not given: {}", told(&other));
    assert_eq!(made.trust_ods, "RXX");
    server.stop.cancel();
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_is_let_in_without_a_certificate_or_the_development_principal() {
    let server = plain(Principals::default()).await;
    let mut patients = PatientServiceClient::new(connect(server.address).await);
    let refused = patients.get_patient(v1::GetPatientRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::Unauthenticated, "NOT_AUTHENTICATED"));
}

#[tokio::test]
async fn plain_text_and_the_development_principal_stay_on_loopback() {
    let clock = Arc::new(SetClock::at(crate::api_support::NOW));
    let store = stores().next().unwrap();
    let (record, _) = open_store(&store.url, &clock, rulebook(Default::default(), RIO)).await;
    for principals in [development(), Principals::default()] {
        let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let refused =
            serve(parts(record.clone(), clock.clone(), principals, None, CancellationToken::new()), everywhere).await;
        assert!(matches!(refused, Err(ServeError::PlainBeyondLoopback(_))));
    }
    let authority = crate::api_support::Authority::new();
    let (certificates, key) = authority.sign("localhost");
    let tls = ServerTls { certificates: certificates.into(), key: key.into(), client_ca: authority.pem.into() };
    let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = serve(parts(record, clock, development(), Some(tls), CancellationToken::new()), here).await;
    assert!(matches!(refused, Err(ServeError::DevelopmentWithTls)));
}

#[tokio::test]
async fn a_certificate_that_another_authority_signed_does_not_connect() {
    let bridge = Bridge::start().await;
    let (certificate, key) = crate::api_support::Authority::new().sign("worker.example");
    for identity in [None, Some(Identity::from_pem(certificate, key))] {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&bridge.authority.pem))
            .domain_name("localhost");
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", bridge.address)).unwrap().tls_config(tls).unwrap();
        // In TLS 1.3 the client learns of it with its first call.
        let refused = match endpoint.connect().await {
            Err(_) => true,
            Ok(channel) => PatientServiceClient::new(channel)
                .get_patient(v1::GetPatientRequest::default())
                .await
                .is_err_and(|s| s.code() != Code::InvalidArgument),
        };
        assert!(refused);
    }
}

#[tokio::test]
async fn health_answers_until_the_bridge_stops() {
    let server = plain(development()).await;
    let mut health = HealthClient::new(connect(server.address).await);
    for service in ["", "ips.v1.ProgressNoteService", "ips.v1.DeliveryService"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let mut watch = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    server.stop.cancel();
    let last = tokio::time::timeout(Duration::from_secs(10), async {
        let mut last = None;
        while let Ok(Some(answer)) = watch.message().await {
            last = Some(answer.status());
        }
        last
    });
    assert_eq!(last.await.expect("the watch ends"), Some(ServingStatus::NotServing));
    tokio::time::timeout(Duration::from_secs(10), server.served)
        .await
        .expect("a watcher does not keep it")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn reflection_names_every_service_in_both_versions() {
    let server = plain(development()).await;
    let channel = connect(server.address).await;
    macro_rules! names {
        ($version:ident) => {{
            use tonic_reflection::pb::$version as pb;
            let request = pb::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(pb::server_reflection_request::MessageRequest::ListServices(String::new())),
            };
            let mut client = pb::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
            let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
            let pb::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
                panic!("a list")
            };
            list.service.into_iter().map(|s| s.name).collect::<Vec<_>>()
        }};
    }
    for names in [names!(v1), names!(v1alpha)] {
        for service in ["Patient", "Referral", "ProgressNote", "Outcome", "Delivery", "Adapter"] {
            assert!(names.contains(&format!("ips.v1.{service}Service")), "{names:?}");
        }
        assert!(names.iter().any(|n| n == "grpc.health.v1.Health"));
    }
}

/// A browser speaks HTTP/1.1 and gRPC-Web: its frames, its trailers in the body.
#[tokio::test]
async fn grpc_web_answers_over_http_1() {
    let server = plain(development()).await;
    let request = v1::FindPatientsRequest {
        trust_ods: "RXX".into(),
        by: Some(v1::find_patients_request::By::NhsNumber("9990000018".into())),
        ..Default::default()
    }
    .encode_to_vec();
    let body = [&[0u8][..], &u32::try_from(request.len()).unwrap().to_be_bytes(), &request].concat();
    let head = format!(
        "POST /ips.v1.PatientService/FindPatients HTTP/1.1\r\nhost: {}\r\ncontent-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        server.address,
        body.len()
    );
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("application/grpc-web+proto"), "{text}");
    assert!(text.contains("grpc-status:0"), "the trailers stand in the body: {text}");
}

#[tokio::test]
async fn gzip_is_understood_and_a_request_too_large_is_refused_with_the_limit() {
    let server = plain(development()).await;
    let channel = connect(server.address).await;
    let mut referrals = ReferralServiceClient::new(channel.clone())
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let answer = referrals.create_referral(create("RXX", "")).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").map(|v| v.as_bytes()), Some(&b"gzip"[..]));
    // 2 MiB of one letter are a few KiB on the wire; the limit counts what they become.
    let mut large = create("RXX", "");
    large.details.as_mut().unwrap().reason = Some("x".repeat(2 * 1024 * 1024));
    let bomb = referrals.create_referral(large.clone()).await.unwrap_err();
    let plain = ReferralServiceClient::new(channel).create_referral(large).await.unwrap_err();
    for refused in [bomb, plain] {
        let (code, reason) = (refused.code(), reason_of(&refused));
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"), "{}", told(&refused));
        assert!(
            refused.message().contains("1048576") && refused.message().contains("max_request_bytes"),
            "{}",
            told(&refused)
        );
    }
}

/// The tables are held by somebody else, so that a call cannot end in time however quick the machine is.
#[tokio::test]
async fn a_call_that_takes_too_long_says_whether_it_may_have_been_done() {
    let store = stores().find(|s| s.kind == "postgres").unwrap();
    let limit = Duration::from_millis(200);
    let bridge =
        Bridge::start_with(&store.url, Default::default(), |parts| parts.settings.request_timeout = limit).await;
    let mut holder = sqlx::PgConnection::connect(&store.url).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE patient, referral IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let slow = bridge.bytes("worker", "ReferralService/CreateReferral", &create("RXX", "")).await.unwrap_err();
    assert_eq!((slow.code(), reason_of(&slow).as_str()), (Code::Unavailable, "COMMIT_UNKNOWN"));
    let slow = bridge
        .bytes("worker", "ReferralService/ListReferrals", &v1::ListReferralsRequest::default())
        .await
        .unwrap_err();
    assert_eq!((slow.code(), reason_of(&slow).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn bytes_that_cannot_be_decoded_are_the_callers_fault_and_the_field_is_named() {
    let bridge = Bridge::start().await;
    // Field 1, a text: 0xff is no UTF-8. Then: nothing at all that could be a message.
    for (bytes, field) in [(vec![0x0a, 0x01, 0xff], "request_id"), (vec![0xff, 0xff], "")] {
        let refused = bridge.call_bytes("worker", "ReferralService/CreateReferral", bytes).await.unwrap_err();
        assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"));
        let details = tonic_types::StatusExt::get_error_details(&refused);
        let named: Vec<&str> = details.bad_request().unwrap().field_violations.iter().map(|v| &*v.field).collect();
        assert_eq!(named, [field], "{}", told(&refused));
    }
}

#[tokio::test]
async fn a_busy_bridge_refuses_at_once_rather_than_queueing_callers() {
    let store = stores().next().unwrap();
    let bridge =
        Bridge::start_with(&store.url, Default::default(), |parts| parts.settings.max_concurrent_calls = 0).await;
    let busy = bridge
        .bytes("worker", "ReferralService/ListReferrals", &v1::ListReferralsRequest::default())
        .await
        .unwrap_err();
    assert_eq!((busy.code(), reason_of(&busy).as_str()), (Code::ResourceExhausted, "QUEUE_FULL"));
}

/// The trace goes on with the delivery: the outbox hangs its spans under it.
#[tokio::test]
async fn a_callers_trace_is_kept_with_its_delivery() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let mut notes = v1::progress_note_service_client::ProgressNoteServiceClient::new(bridge.channel("worker").await);
    let mut request = Request::new(write(&referral.id, "One."));
    request.metadata_mut().insert("traceparent", TRACE.parse().unwrap());
    notes.write_progress_note(request).await.unwrap();
    assert_eq!(bridge.claim().await[0].delivery.trace.as_deref(), Some(TRACE));
}

#[tokio::test]
async fn a_call_under_way_is_answered_before_the_bridge_ends() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let request = write(&referral.id, "One.");
    let (written, ()) = tokio::join!(
        bridge.ask::<v1::WriteProgressNoteResponse>("worker", "ProgressNoteService/WriteProgressNote", &request),
        async {
            tokio::task::yield_now().await;
            bridge.stop.cancel();
        }
    );
    // Answered, or never taken: then the connection says so, and the same request id can be sent again.
    if let Err(status) = written {
        assert!(
            matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal),
            "{}",
            told(&status)
        );
    }
    tokio::time::timeout(Duration::from_secs(20), bridge.end()).await.expect("it ends");
}
