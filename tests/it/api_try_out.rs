//! What a template saw, handed out so that another pack can be tried on it.

use crate::api_samples::{at, content, replace, write};
use crate::api_support::{Bridge, RIO};
use ips_bridge::wire::v1::adapter_service_client::AdapterServiceClient;
use ips_bridge::wire::v1::{self, preview_entry_request::What};
use prost::Message as _;

#[tokio::test]
async fn an_integrator_gets_the_shape_of_an_entry_and_nothing_of_the_patient() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let text = "Wants to bake bread | 3 days,\nnot 4.";
    let written = bridge.note(&referral.id, text).await;
    let request = v1::PreviewEntryRequest {
        endpoint_id: RIO.into(),
        what: Some(What::DeliveryId(written.deliveries[0].id.clone())),
        with_input: true,
    };
    let whole = AdapterServiceClient::new(bridge.channel("worker").await);
    let whole = { whole }.preview_entry(request.clone()).await.unwrap().into_inner();
    let input = whole.input.clone().expect("what the template saw");
    assert!(!whole.masked && whole.faults.is_empty());
    assert_eq!(input.entry.as_ref().unwrap().text, text);

    let masked = AdapterServiceClient::new(bridge.channel("integrator").await);
    let masked = { masked }.preview_entry(request).await.unwrap().into_inner();
    assert!(masked.masked && masked.faults.is_empty() && masked.message.starts_with(b"MSH|"));
    let seen = masked.input.clone().expect("its shape");
    assert_eq!(seen.entry.as_ref().unwrap().text, "Xxxxx xx xxxx xxxxx | 0 xxxx,\nxxx 0.");
    assert_eq!(seen.settings, input.settings);
    let patient = input.patient.unwrap();
    let name = patient.name.unwrap();
    let bytes = masked.encode_to_vec();
    for secret in
        ["bake", "bread", &name.family, &name.given, &patient.date_of_birth, &patient.date_of_birth.replace('-', "")]
    {
        assert!(
            !secret.is_empty() && !bytes.windows(secret.len()).any(|w| w == secret.as_bytes()),
            "a secret of {} bytes",
            secret.len()
        );
    }
    // The same message of the same pack: as long, segment for segment.
    let lengths =
        |m: &[u8]| m.split(|b| *b == b'\r').map(|s| s.iter().filter(|b| **b == b'|').count()).collect::<Vec<_>>();
    assert_eq!(lengths(&whole.message), lengths(&masked.message));
    bridge.end().await;
}

#[tokio::test]
async fn a_note_is_late_from_the_contact_on_and_a_correction_from_when_it_was_written() {
    let bridge = Bridge::start().await;
    let referral = bridge.referral().await;
    let shown = async |delivery: &v1::Delivery| {
        let what = Some(What::DeliveryId(delivery.id.clone()));
        let request = v1::PreviewEntryRequest { endpoint_id: RIO.into(), what, with_input: false };
        let made: v1::PreviewEntryResponse = bridge.done("worker", "AdapterService/PreviewEntry", &request).await;
        String::from_utf8(made.message.to_vec()).expect("UTF-8")
    };
    let of = |occurred_at: &str| v1::WriteProgressNoteRequest {
        content: Some(v1::NoteContent { occurred_at: at(occurred_at), ..content("Met.").unwrap() }),
        ..write(&referral.id, "Met.")
    };
    let rpc = "ProgressNoteService/WriteProgressNote";
    let fresh: v1::WriteProgressNoteResponse = bridge.done("worker", rpc, &of("2026-03-03T10:30:00Z")).await;
    assert!(!shown(&fresh.deliveries[0]).await.contains("LATE ENTRY"));
    let late: v1::WriteProgressNoteResponse = bridge.done("worker", rpc, &of("2026-03-01T10:30:00Z")).await;
    assert!(shown(&late.deliveries[0]).await.contains("LATE ENTRY: this was on 01/03/2026 10:30"));
    let corrected = v1::ReplaceProgressNoteRequest {
        content: of("2026-03-01T10:30:00Z").content,
        ..replace(&late.note.unwrap(), "Met.")
    };
    let corrected: v1::ReplaceProgressNoteResponse =
        bridge.done("worker", "ProgressNoteService/ReplaceProgressNote", &corrected).await;
    assert!(!shown(corrected.deliveries.last().unwrap()).await.contains("LATE ENTRY"));
}
