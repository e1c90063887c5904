//! An EPR that pulls: every document is handed out, confirmed and reported over gRPC, none twice under another id, none before its turn.

use crate::api_support::{fields_of, reason_of};
use crate::e2e_support::{Bridge, Client, PATIENCE, Stage, endpoint, nobody, request_id, shown};
use ips_bridge::wire::v1::{self, DeliveryState as State};
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use v1::record_feed_service_client::RecordFeedServiceClient;
use v1::{report_filed_request as filed, report_refused_request as refused};

pub fn fed(id: &str, own: &str) -> toml::Table {
    let feed =
        "transport = \"feed\"\nfiled_by = \"vendor_report\"\n[feed]\nconfirm_timeout = \"10s\"\nmax_unconfirmed = 4\n";
    let mut table = endpoint(id, nobody(), &format!("{own}\n"));
    table.remove("mllp");
    for (key, value) in feed.parse::<toml::Table>().expect("TOML") {
        table.entry(key).or_insert(value);
    }
    table.insert("transport".into(), "feed".into());
    table.insert("filed_by".into(), "vendor_report".into());
    table
}

/// The EPR's side.
pub struct Vendor {
    feed: RecordFeedServiceClient<Channel>,
    endpoint: &'static str,
}

pub type Entries = Streaming<v1::StreamEntriesResponse>;

impl Vendor {
    pub fn of(client: &Client, endpoint: &'static str) -> Self {
        Self { feed: RecordFeedServiceClient::new(client.channel.clone()), endpoint }
    }

    pub async fn try_pull(&self, resume_token: &str) -> Result<Entries, Status> {
        let request = v1::StreamEntriesRequest { endpoint_id: self.endpoint.into(), resume_token: resume_token.into() };
        Ok(self.feed.clone().stream_entries(request).await?.into_inner())
    }

    async fn pull(&self) -> Entries {
        self.try_pull("").await.expect("a stream")
    }

    pub async fn try_confirm(&self, control_id: &str) -> Result<v1::Delivery, Status> {
        let request = v1::ConfirmReceivedRequest {
            request_id: request_id(),
            endpoint_id: self.endpoint.into(),
            control_id: control_id.into(),
        };
        let answer = self.feed.clone().confirm_received(request).await?.into_inner();
        Ok(answer.delivery.expect("the delivery"))
    }

    async fn confirm(&self, entry: &v1::FeedEntry) -> v1::Delivery {
        self.try_confirm(&entry.control_id).await.expect("confirmed")
    }

    pub async fn try_filed(&self, document: filed::Document, record_id: &str) -> Result<v1::Delivery, Status> {
        let request = v1::ReportFiledRequest {
            request_id: request_id(),
            endpoint_id: self.endpoint.into(),
            document: Some(document),
            record_id: record_id.into(),
        };
        let answer = self.feed.clone().report_filed(request).await?.into_inner();
        Ok(answer.delivery.expect("the delivery"))
    }

    async fn filed(&self, entry: &v1::FeedEntry, record_id: &str) -> v1::Delivery {
        let document = filed::Document::ControlId(entry.control_id.clone());
        self.try_filed(document, record_id).await.expect("reported")
    }

    async fn try_refused(&self, document: refused::Document, code: &str) -> Result<v1::Delivery, Status> {
        let request = v1::ReportRefusedRequest {
            request_id: request_id(),
            endpoint_id: self.endpoint.into(),
            document: Some(document),
            code: code.into(),
            text: "No such ward.".into(),
        };
        let answer = self.feed.clone().report_refused(request).await?.into_inner();
        Ok(answer.delivery.expect("the delivery"))
    }
}

async fn next_response(entries: &mut Entries) -> v1::StreamEntriesResponse {
    let next = tokio::time::timeout(PATIENCE, entries.message()).await.expect("a document in time");
    next.expect("the stream goes on").expect("the stream goes on")
}

async fn next(entries: &mut Entries) -> v1::FeedEntry {
    next_response(entries).await.entry.expect("an entry")
}

fn said(entry: &v1::FeedEntry) -> String {
    String::from_utf8(entry.message.to_vec()).expect("UTF-8")
}

async fn gate(client: &Client) -> (v1::EndpointGate, String) {
    let request = v1::GetEndpointStatusRequest { endpoint_id: "epr".into() };
    let status = client.deliveries().get_endpoint_status(request).await.expect("a status").into_inner();
    (status.endpoints[0].gate(), status.endpoints[0].closed_because.clone())
}

async fn a_life(stage: Stage) {
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let vendor = Vendor::of(client, "epr");
    let person = client.person(0, "epr").await;
    let first = client.write(&person, "Met at the café.").await;
    // Nobody pulls: it waits, nothing is counted, and everybody can see why.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let d = client.delivery(first.id()).await;
    assert_eq!((d.state(), d.attempts, d.version), (State::Queued, 0, 1), "{}", shown(&d));
    let (closed, because) = gate(client).await;
    assert!(closed == v1::EndpointGate::Closed && because.contains("StreamEntries"), "{because}");

    let mut entries = vendor.pull().await;
    let entry = next(&mut entries).await;
    assert_eq!(gate(client).await, (v1::EndpointGate::Open, String::new()));
    let d = client.delivery(first.id()).await;
    assert_eq!((entry.delivery_id.as_str(), &entry.document_id), (first.id(), &d.document_id));
    assert_eq!(
        (entry.attempt, entry.kind(), entry.content_type.as_str()),
        (1, v1::EntryKind::Note, "application/hl7-v2")
    );
    assert!(said(&entry).starts_with("MSH|") && said(&entry).contains("Met at the café."));
    assert!(said(&entry).contains(&entry.control_id) && said(&entry).contains(&entry.document_id));
    assert_eq!(d.state(), State::Sending, "{}", shown(&d));

    let blank = vendor.try_confirm(&format!(" {}", entry.control_id)).await.expect_err("compared exactly");
    assert_eq!(blank.code(), tonic::Code::InvalidArgument);
    let received = vendor.confirm(&entry).await;
    assert_eq!(received.state(), State::Accepted, "{}", shown(&received));
    assert_eq!(vendor.confirm(&entry).await.version, received.version, "said again it changes nothing");
    let done = vendor.filed(&entry, "DOC-1").await;
    assert_eq!((done.state(), done.record_id.as_str()), (State::Filed, "DOC-1"), "{}", shown(&done));
    assert_eq!(done.evidence.last().map(v1::Evidence::kind), Some(v1::EvidenceKind::VendorReport));
    let again = vendor.filed(&entry, "DOC-1").await;
    assert_eq!((again.state(), again.evidence.len(), again.version), (State::Filed, done.evidence.len(), done.version));

    // Whoever files at once need not confirm; the document's id serves as well, with the namespace it has in the message.
    let second = client.replace(&first, &person, "Met at the library.").await;
    let entry = next(&mut entries).await;
    assert_eq!(entry.delivery_id, second.id());
    assert!(
        said(&entry).contains("Met at the library.") && said(&entry).contains(&d.document_id),
        "it names the one before"
    );
    let document = filed::Document::DocumentId(format!("{}^IPS", entry.document_id));
    assert_eq!(vendor.try_filed(document, "DOC-3").await.expect("reported").state(), State::Filed);
    let withdrawn = client.withdraw(&second).await.expect("there is something to take back");
    let entry = next(&mut entries).await;
    assert_eq!(entry.delivery_id, withdrawn.id);
    assert_eq!(vendor.filed(&entry, "DOC-3").await.state(), State::Filed);
    // What came back is kept, the vendor's words too.
    let attempts = v1::ListAttemptsRequest { delivery_id: first.id().into(), include_bytes: true };
    let attempts = client.deliveries().list_attempts(attempts).await.expect("attempts").into_inner().attempts;
    assert_eq!(attempts.len(), 1);
    assert!(
        attempts[0]
            .replies
            .iter()
            .any(|r| r.codes == "filed" && r.received.as_ref().is_some_and(|b| b.windows(5).any(|w| w == b"DOC-1")))
    );
    // The bridge stops: the stream ends as streams do.
    let ended = async { tokio::time::timeout(PATIENCE, entries.message()).await.expect("it ends") };
    let (end, ()) = tokio::join!(ended, bridge.stop());
    assert!(end.expect("without an error").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_pulled_confirmed_and_filed_on_the_vendors_word() {
    a_life(Stage::sqlite([fed("epr", "")])).await;
    a_life(Stage::postgres([fed("epr", "")])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_out_and_not_confirmed_comes_again_byte_by_byte() {
    let stage = Stage::sqlite([fed("epr", "")]);
    let bridge = Bridge::start(&stage).await;
    let vendor = Vendor::of(&bridge.client, "epr");
    let person = bridge.client.person(0, "epr").await;
    let note = bridge.client.write(&person, "Rang two shops.").await;
    let mut entries = vendor.pull().await;
    let response = next_response(&mut entries).await;
    let first = response.entry.expect("an entry");
    drop(entries);
    // The stream died; with the token of what was received it comes again all the same.
    let mut entries = vendor.try_pull(&response.resume_token).await.expect("a stream");
    let second = next(&mut entries).await;
    assert_eq!(
        (&second.message, &second.control_id, &second.document_id),
        (&first.message, &first.control_id, &first.document_id)
    );
    assert_eq!((first.attempt, second.attempt), (1, 2));
    // Now the bridge goes away, and comes back.
    let ((), _) = tokio::join!(bridge.stop(), entries.message());
    let bridge = Bridge::start(&stage).await;
    let vendor = Vendor::of(&bridge.client, "epr");
    let mut entries = vendor.pull().await;
    let third = next(&mut entries).await;
    assert_eq!((&third.message, &third.control_id), (&first.message, &first.control_id));
    assert_eq!(vendor.confirm(&third).await.state(), State::Accepted);
    let d = bridge.client.delivery(note.id()).await;
    assert!(d.attempts == 3 && d.may_have_been_received, "{}", shown(&d));
    drop(entries);
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_counts_when_its_stream_is_gone_and_when_its_time_is_over() {
    let slow = "back_off = { first = \"1h\", cap = \"1h\" }\n[feed]\nconfirm_timeout = \"1s\"\nmax_unconfirmed = 4\n";
    let stage = Stage::sqlite([fed("epr", slow)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let vendor = Vendor::of(client, "epr");
    let people = client.people(0..2, "epr").await;
    let gone = client.write(&people[0], "One.").await;
    let mut entries = vendor.pull().await;
    let entry = next(&mut entries).await;
    drop(entries);
    assert_eq!(vendor.confirm(&entry).await.state(), State::Accepted);
    let late = client.write(&people[1], "Two.").await;
    let mut entries = vendor.pull().await;
    let entry = next(&mut entries).await;
    let d = client.until_state(late.id(), State::BackingOff).await;
    assert!(d.may_have_been_received, "{}", shown(&d));
    assert_eq!(vendor.confirm(&entry).await.state(), State::Accepted);
    for id in [gone.id(), late.id()] {
        let d = client.delivery(id).await;
        assert_eq!((d.state(), d.attempts), (State::Accepted, 1), "{}", shown(&d));
    }
    drop(entries);
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_document_of_a_patient_comes_only_when_the_one_before_was_confirmed() {
    let stage = Stage::sqlite([fed("epr", "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let vendor = Vendor::of(client, "epr");
    let people = client.people(0..2, "epr").await;
    let one = client.write(&people[0], "One.").await;
    let two = client.write(&people[0], "Two.").await;
    let other = client.write(&people[1], "Other.").await;
    let mut entries = vendor.pull().await;
    let mut out = [next(&mut entries).await, next(&mut entries).await];
    out.sort_by_key(|e| e.delivery_id != one.id());
    assert_eq!([out[0].delivery_id.as_str(), out[1].delivery_id.as_str()], [one.id(), other.id()]);
    // The other patient's confirmation frees nothing of this one's.
    vendor.confirm(&out[1]).await;
    assert_eq!(client.delivery(two.id()).await.state(), State::Queued);
    vendor.confirm(&out[0]).await;
    let then = next(&mut entries).await;
    assert_eq!((then.delivery_id.as_str(), &then.patient_id), (two.id(), &out[0].patient_id));
    drop(entries);
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_document_waits_for_a_person_and_can_be_handed_out_again() {
    let stage = Stage::sqlite([fed("epr", "")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let vendor = Vendor::of(client, "epr");
    let person = client.person(0, "epr").await;
    let note = client.write(&person, "One.").await;
    let mut entries = vendor.pull().await;
    let entry = next(&mut entries).await;
    let document = refused::Document::ControlId(entry.control_id.clone());
    let parked = vendor.try_refused(document, "W-204").await.expect("reported");
    assert_eq!((parked.state(), parked.park_reason()), (State::Parked, v1::ParkReason::Refused), "{}", shown(&parked));
    let selection = v1::DeliverySelection { delivery_ids: vec![note.id().into()], ..Default::default() };
    let retry = v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(selection),
        reason: "the ward was added".into(),
        ..Default::default()
    };
    assert_eq!(client.deliveries().retry_deliveries(retry).await.expect("retried").into_inner().retried, 1);
    let again = next(&mut entries).await;
    assert_eq!((&again.message, &again.control_id, again.attempt), (&entry.message, &entry.control_id, 2));
    assert_eq!(vendor.filed(&again, "DOC-1").await.state(), State::Filed);
    // A refusal after that contradicts it.
    let document = refused::Document::DocumentId(again.document_id.clone());
    let parked = vendor.try_refused(document, "W-999").await.expect("reported");
    assert_eq!(parked.park_reason(), v1::ParkReason::FilingContradicted, "{}", shown(&parked));
    drop(entries);
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_has_a_feed_of_its_own_and_one_stream_at_a_time() {
    let mllp = endpoint("old", nobody(), "");
    let in_place = fed("same", "[settings]\nreplace_as = \"T08\"\n");
    let stage = Stage::sqlite([fed("epr", ""), fed("two", ""), mllp, in_place]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let (epr, two, old) = (Vendor::of(client, "epr"), Vendor::of(client, "two"), Vendor::of(client, "old"));
    let (hers, his) = (client.person(0, "epr").await, client.person(1, "two").await);
    let (a, b) = (client.write(&hers, "Hers.").await, client.write(&his, "His.").await);
    let (mut of_epr, mut of_two) = (epr.pull().await, two.pull().await);
    let (first, second) = (next_response(&mut of_epr).await, next_response(&mut of_two).await);
    let (of_a, of_b) = (first.entry.expect("an entry"), second.entry.expect("an entry"));
    assert_eq!((of_a.delivery_id.as_str(), of_b.delivery_id.as_str()), (a.id(), b.id()));
    // What was handed out at one endpoint does not exist at the other.
    let foreign = [
        two.try_confirm(&of_a.control_id).await,
        two.try_filed(filed::Document::ControlId(of_a.control_id.clone()), "D").await,
        two.try_filed(filed::Document::DocumentId(of_a.document_id.clone()), "D").await,
        two.try_refused(refused::Document::DocumentId(of_a.document_id.clone()), "E").await,
    ];
    for answer in foreign {
        assert_eq!(reason_of(&answer.expect_err("it is another's")), "NOT_FOUND");
    }
    assert_eq!(client.delivery(a.id()).await.state(), State::Sending);
    // A token is of one endpoint.
    assert_eq!(reason_of(&two.try_pull(&first.resume_token).await.expect_err("another's")), "BAD_TOKEN");
    assert_eq!(reason_of(&two.try_pull("00").await.expect_err("garbage")), "BAD_TOKEN");
    // A second stream takes over.
    let mut taken_over = two.pull().await;
    let ended = tokio::time::timeout(PATIENCE, of_two.message()).await.expect("it ends");
    assert_eq!(reason_of(&ended.expect_err("another stream has begun")), "WRONG_STATE");
    assert_eq!(next(&mut taken_over).await.message, of_b.message);
    // Only a feed is pulled; rules of fields are told at once.
    assert_eq!(reason_of(&old.try_pull("").await.expect_err("it is sent to")), "WRONG_STATE");
    assert_eq!(reason_of(&old.try_confirm("C1").await.expect_err("it is sent to")), "WRONG_STATE");
    let number = refused::Document::ControlId(of_a.control_id.clone());
    assert_eq!(fields_of(&epr.try_refused(number.clone(), "9990000018").await.expect_err("a number")), ["code"]);
    assert_eq!(fields_of(&epr.try_refused(number, "no ward").await.expect_err("a blank")), ["code"]);
    let same = Vendor::of(client, "same");
    let by_document = same.try_filed(filed::Document::DocumentId(of_a.document_id.clone()), "").await;
    assert_eq!(fields_of(&by_document.expect_err("replacements keep the id")), ["document_id", "record_id"]);
    let empty = v1::ReportFiledRequest::default();
    let empty = epr.feed.clone().report_filed(empty).await.expect_err("nothing is said");
    assert_eq!(fields_of(&empty), ["request_id", "endpoint_id", "document", "record_id"]);
    drop((of_epr, taken_over));
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fhir_pack_is_fed_as_whole_requests() {
    let mut table = fed("epr", "adapter = \"fhir-uk-core\"");
    table.remove("settings");
    let settings = "[settings]\nidentifier_system = \"https://ips-bridge.example/Id/document\"\nstaff_system = \"https://ips-bridge.example/Id/staff\"\n\
                    outcome_as = \"observation\"\nreferral_system = \"https://epr.example/Id/referral\"\n";
    table.extend(settings.parse::<toml::Table>().expect("TOML"));
    let stage = Stage::sqlite([table]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let vendor = Vendor::of(client, "epr");
    let person = client.person(0, "epr").await;
    let note = client.write(&person, "One.").await;
    let mut entries = vendor.pull().await;
    let entry = next(&mut entries).await;
    assert_eq!(entry.content_type, "application/http");
    assert!(said(&entry).starts_with("POST DocumentReference\n"), "{}", said(&entry));
    assert_eq!(vendor.filed(&entry, "doc-7").await.state(), State::Filed);
    client.withdraw(&note).await.expect("there is something to take back");
    let entry = next(&mut entries).await;
    assert!(
        said(&entry).starts_with("PUT DocumentReference/doc-7\n"),
        "the record's own id names it: {}",
        said(&entry)
    );
    drop(entries);
    bridge.stop().await;
}
