//! What an EPR reports over gRPC of documents that were sent to it by another way.

use crate::api_lists::audited;
use crate::api_samples::{Outcome, request_id};
use crate::api_support::{Bridge, RIO, SPARE};
use crate::support::stores;
use ips_bridge::wire::v1::{self, report_filed_request::Document};

const FILED: &str = "RecordFeedService/ReportFiled";

#[tokio::test]
async fn a_report_counts_whatever_brought_the_document_and_is_told_once() {
    for store in stores() {
        let bridge = Bridge::start_on(&store.url).await;
        let referral = bridge.referral().await;
        let id = bridge.note(&referral.id, "One.").await.deliveries[0].id.clone();
        let report = |document: &str, record_id: &str| v1::ReportFiledRequest {
            request_id: request_id(),
            endpoint_id: RIO.into(),
            document: Some(Document::DocumentId(document.into())),
            record_id: record_id.into(),
        };
        let document = bridge.delivery("worker", &id).await.document_id;
        let first = report(&document, "DOC-9");
        assert_eq!(bridge.reason("epr", FILED, &first).await, "NOT_FOUND", "it has not left yet");
        bridge.send_all(Outcome::Silence).await;
        let parked = bridge.delivery("worker", &id).await;
        assert_eq!(parked.park_reason(), v1::ParkReason::OutcomeUnknown);
        // Nobody else's word counts.
        assert_eq!(bridge.reason("worker", FILED, &first).await, "ROLE_MISSING");
        assert_eq!(bridge.reason("epr-spare", FILED, &first).await, "NOT_FOUND");
        let elsewhere = v1::ReportFiledRequest { endpoint_id: SPARE.into(), ..report(&document, "DOC-9") };
        assert_eq!(bridge.reason("epr-spare", FILED, &elsewhere).await, "NOT_FOUND");
        assert_eq!(bridge.delivery("worker", &id).await.version, parked.version);
        let told: v1::ReportFiledResponse = bridge.done("epr", FILED, &first).await;
        let filed = told.delivery.expect("the delivery");
        assert_eq!((filed.state(), filed.record_id.as_str()), (v1::DeliveryState::Filed, "DOC-9"));
        assert_eq!(filed.evidence.last().map(v1::Evidence::kind), Some(v1::EvidenceKind::VendorReport));
        let again: v1::ReportFiledResponse = bridge.done("epr", FILED, &first).await;
        assert_eq!(again.delivery.as_ref(), Some(&filed));
        let other = v1::ReportFiledRequest { record_id: "DOC-10".into(), ..first };
        assert_eq!(bridge.reason("epr", FILED, &other).await, "REQUEST_ID_REUSED");
        let who =
            ("epr".to_owned(), "epr_system".to_owned(), "delivery.report_filed".to_owned(), "delivery".to_owned());
        let rows = audited(&store.url).await;
        assert!(rows.contains(&who));
        let read = rows.iter().filter(|row| row.0 == "epr" && row.2 == "delivery.read").count();
        assert_eq!(read, 1, "what a repeat answers is read then");
        bridge.end().await;
    }
}
