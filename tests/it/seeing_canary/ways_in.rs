//! Messages over gRPC and FHIR, and what a record answers when it is asked.

use super::*;
use ips_bridge::adapter::{Fitted, InUse, LookupQuestion, Pack};
use ips_bridge::inbound::{Source, receive_fhir};
use ips_bridge::transport::http_message::Reply;
use ips_bridge::transport::https::Arrived;
use serde_json::{Value, json};
use std::path::Path;
use v1::inbound_service_client::InboundServiceClient;
use v1::record_feed_service_client::RecordFeedServiceClient;

/// InboundService and RecordFeedService: taken, refused, listed, shown, run again.
pub(super) async fn exercise_messages(bridge: &Bridge, heard: &Heard) {
    let addr = bridge.serve_api().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut inbound = InboundServiceClient::new(channel.clone());
    let mut feed = RecordFeedServiceClient::new(channel);
    let id = || new_uuid(bridge.now(), &Fresh).to_string();
    let endpoint_id = endpoint_id().to_string();
    let message = |bytes: &str| v1::SubmitMessageRequest {
        endpoint_id: endpoint_id.clone(),
        message: Some(v1::submit_message_request::Message::Hl7v2(bytes.as_bytes().to_vec())),
        ..Default::default()
    };
    for bytes in [
        good("S1", "").replace(EXTERNAL, "CNRYREF7"),
        good("S2", "").replace(OTHER_NHS, WRONG_NHS),
        format!("{FAMILY} {TEXT}"),
        format!("FHS|^~\\&\r{}", good("S3", &format!("{TEXT}\r"))),
    ] {
        // The answer is for the sender, who gets its own ids back; the call's own Debug must not tell more.
        heard.debug(&inbound.submit_message(message(&bytes)).await.unwrap());
    }
    heard
        .refused(inbound.submit_message(v1::SubmitMessageRequest { endpoint_id: FAMILY.into(), ..message("x") }).await);
    heard.refused(inbound.submit_message(v1::SubmitMessageRequest { message_id: TEXT.into(), ..message("x") }).await);
    let list = inbound.list_inbound_messages(v1::ListInboundMessagesRequest { page_size: 200, ..Default::default() });
    let list = list.await.unwrap().into_inner().messages;
    assert!(list.iter().any(|m| m.state() == v1::InboundState::Parked));
    for one in &list {
        heard.debug(one);
    }
    let filter =
        v1::ListInboundMessagesRequest { message_type: FAMILY.into(), page_token: TEXT.into(), ..Default::default() };
    heard.refused(inbound.list_inbound_messages(filter).await);
    let parked = list.iter().find(|m| m.state() == v1::InboundState::Parked).expect("one is parked");
    let again = v1::ReprocessInboundMessageRequest {
        request_id: id(),
        inbound_message_id: parked.id.clone(),
        reason: "the team was added".into(),
    };
    heard.debug(&inbound.reprocess_inbound_message(again.clone()).await.unwrap());
    heard.refused(
        inbound
            .reprocess_inbound_message(v1::ReprocessInboundMessageRequest {
                inbound_message_id: FAMILY.into(),
                reason: String::new(),
                ..again
            })
            .await,
    );
    let document = Some(v1::report_filed_request::Document::ControlId(FAMILY.into()));
    let filed = v1::ReportFiledRequest {
        request_id: id(),
        endpoint_id: endpoint_id.clone(),
        document,
        record_id: FAMILY.into(),
    };
    heard.refused(feed.report_filed(filed).await);
    let document = Some(v1::report_refused_request::Document::DocumentId(NHS.into()));
    let refused = v1::ReportRefusedRequest {
        request_id: id(),
        endpoint_id: endpoint_id.clone(),
        document,
        code: NHS.into(),
        text: TEXT.into(),
    };
    heard.refused(feed.report_refused(refused).await);
    let stream = v1::StreamEntriesRequest { endpoint_id, resume_token: TEXT.into() };
    heard.refused(feed.stream_entries(stream).await);
}

fn fhir_pack() -> Pack {
    Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core")).expect("our own pack")
}

/// The same endpoint with a pack for FHIR: posted well and badly.
pub(super) async fn exercise_fhir(bridge: &Bridge, heard: &Heard) {
    let source = bridge.source();
    let (now, pack) = (source.in_use.now(), fhir_pack());
    let settings = pack.manifest.settings.examples();
    let reply_rules = pack.reply_rules(&toml::Table::new()).expect("the pack's own rules");
    let (site, policy) = (now.site.clone(), now.policy.clone());
    let fitted = Fitted { activation: 0, pack: Arc::new(pack), settings, reply_rules, site, policy };
    let source = Source { in_use: InUse::new(fitted), ..source };
    let number = |n: &str| json!([{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": n }]);
    let patient = |n: &str| {
        json!({
            "resourceType": "Patient", "id": FAMILY, "identifier": number(n), "birthDate": BORN, "gender": "female",
            "name": [{ "family": FAMILY, "given": [GIVEN], "prefix": [PREFIX] }], "meta": { "lastUpdated": "2026-03-02T09:30:00Z" },
            "address": [{ "line": [STREET], "city": CITY, "district": COUNTY, "postalCode": POSTCODE }],
            "telecom": [{ "system": "phone", "value": PHONE }]
        })
    };
    let request = |n: &str, more: Value| {
        let mut whole = json!({
            "resourceType": "ServiceRequest", "status": "active", "intent": "order", "authoredOn": "2026-03-01T09:00:00Z",
            "identifier": [{ "system": "https://epr.example/Id/referral", "value": format!("{EXTERNAL}5") }],
            "contained": [patient(n), { "resourceType": "PractitionerRole", "id": "r", "practitioner": { "display": REFERRER },
                "organization": { "identifier": { "value": "RXX" } } }],
            "subject": { "reference": format!("#{FAMILY}") }, "requester": { "reference": "#r" },
            "performer": [{ "identifier": { "value": "IPS-NORTH" } }], "reasonCode": [{ "text": WHY }]
        });
        whole.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
        whole.to_string()
    };
    let bodies = [
        ("ServiceRequest", request(OTHER_NHS, json!({}))),
        ("ServiceRequest", request(WRONG_NHS, json!({}))),
        ("ServiceRequest", request(OTHER_NHS, json!({ "status": TEXT, "priority": FAMILY, "authoredOn": BORN }))),
        ("ServiceRequest", format!("{{\"resourceType\": \"{FAMILY}\"}}")),
        ("ServiceRequest", format!("{{\"{FAMILY}\": {TEXT}")),
        ("Patient", patient(NHS).to_string()),
        ("Patient", patient(WRONG_NHS).to_string()),
        ("Patient", patient(NHS).to_string().replace(BORN, TEXT).replace("female", FAMILY)),
        (
            "Bundle",
            json!({ "resourceType": "Bundle", "entry": [{ "fullUrl": FAMILY, "resource": { "resourceType": TEXT } }] })
                .to_string(),
        ),
        ("$process-message", json!({ "resourceType": "Bundle", "type": FAMILY }).to_string()),
        (FAMILY, String::new()),
    ];
    for (n, (path, body)) in bodies.into_iter().enumerate() {
        let arrived = Arrived {
            method: "POST".into(),
            path: path.into(),
            content_type: "application/fhir+json".into(),
            request_id: Some(format!("F{n}")),
            body: body.into_bytes(),
        };
        heard.debug(&arrived);
        let reply = receive_fhir(&source, arrived).await;
        heard.debug(&String::from_utf8_lossy(&reply.body).into_owned());
    }
}

/// Answers of a record about a patient, good and odd.
pub(super) fn exercise_lookups(heard: &Heard) {
    let pack = fhir_pack();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core/examples/render-note/input.json");
    let mut input: v1::RenderInput =
        serde_json::from_str(&std::fs::read_to_string(example).expect("an example")).expect("an input");
    let entry = |number: &str| {
        json!({ "resource": { "resourceType": "Patient", "id": FAMILY,
        "identifier": [{ "system": "https://fhir.nhs.uk/Id/nhs-number", "value": number }] } })
    };
    let bundle = |entries: Value| json!({ "resourceType": "Bundle", "entry": entries }).to_string();
    for (status, body) in [
        (200, bundle(json!([]))),
        (200, bundle(json!([entry(NHS)]))),
        (200, bundle(json!([entry("9990000018"), entry("9990000018")]))),
        (
            200,
            json!({ "resourceType": "OperationOutcome", "issue": [{ "severity": "error", "diagnostics": TEXT }] })
                .to_string(),
        ),
        (200, format!("<p>{FAMILY}</p>")),
        (403, format!("{{\"resourceType\": \"{FAMILY}\"}}")),
        (500, TEXT.to_owned()),
    ] {
        let reply = Reply::new(status, [("content-type", "application/fhir+json")], body.into_bytes()).to_bytes();
        heard.refused(pack.looked_up("patient", &reply, &mut input));
    }
    let mut settings = pack.manifest.settings.examples();
    settings.insert("subject_by".into(), "lookup".into());
    let questions = pack.lookups(&input, &settings).expect("questions");
    assert!(!questions.is_empty(), "nothing is asked");
    for LookupQuestion { name, .. } in questions {
        heard.debug(&name);
    }
}
