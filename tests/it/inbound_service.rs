//! What an EPR sent and could not be taken in: shown, kept from those who may not read it, and run again when it was mended.

use crate::api_lists::audited;
use crate::api_samples::request_id;
use crate::api_support::{self, RIO, SPARE, fields_of, reason_of};
use crate::e2e_support::{Bridge, Client, Stage, endpoint, nobody};
use crate::support::bridge::{self as small, Tweaks};
use crate::support::stores;
use ips_bridge::domain::ids::InboundId;
use ips_bridge::domain::nhs_number::NhsNumber;
use ips_bridge::inbound::{Source, receive, receive_cut_off};
use ips_bridge::store::read::{InboundFilter, Page, PatientBy};
use ips_bridge::store::record::InboundState;
use ips_bridge::store::{Scope, WriteError};
use ips_bridge::wire::v1;
use std::path::Path;
use v1::submit_message_request::Message;

fn example(case: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(case);
    std::fs::read_to_string(path).expect("an example of ours")
}

/// For a team that nobody has told the bridge of.
fn referral() -> Vec<u8> {
    example("hl7v2-uk/examples/parse-ref/message.hl7").replace("IPS-NORTH", "newteam").replace('\n', "\r").into_bytes()
}

fn taken_back() -> Vec<u8> {
    example("hl7v2-uk/examples/parse-ref-i14/message.hl7")
        .replace("IPS-NORTH", "newteam")
        .replace('\n', "\r")
        .into_bytes()
}

fn resource() -> Vec<u8> {
    example("fhir-uk-core/examples/parse-service-request-small/message.json")
        .replace("IPS-NORTH", "newteam")
        .into_bytes()
}

fn over_fhir() -> toml::Table {
    let mut fhir = endpoint("epr", nobody(), "");
    for key in ["mllp", "settings"] {
        fhir.remove(key);
    }
    let https = "adapter = \"fhir-uk-core\"\ntransport = \"https\"\n[https]\nbase_url = \"http://127.0.0.1:9/fhir\"\n[settings]\n\
                 identifier_system = \"https://ips-bridge.example/Id/document\"\nstaff_system = \"https://ips-bridge.example/Id/staff\"\n\
                 outcome_as = \"observation\"\nreferral_system = \"https://epr.example/Id/referral\"\n";
    fhir.extend(https.parse::<toml::Table>().expect("TOML"));
    fhir
}

/// Nothing is sent there: it is never logged in.
fn over_xml(password: &tempfile::NamedTempFile) -> toml::Table {
    let mut xml = endpoint("epr", nobody(), "");
    for key in ["mllp", "settings"] {
        xml.remove(key);
    }
    let https = format!(
        "adapter = \"soap-notes\"\ntransport = \"https\"\n[https]\nbase_url = \"http://127.0.0.1:9/api\"\n\
         [https.auth]\nkind = \"session\"\nuser = \"ips\"\npassword = {{ file = \"{}\" }}\n[settings]\nsystem = \"IPSBRIDGE\"\n",
        password.path().display()
    );
    xml.extend(https.parse::<toml::Table>().expect("TOML"));
    xml
}

fn in_xml() -> Vec<u8> {
    example("soap-notes/examples/parse-referral/message.xml").replace("IPS-NORTH", "newteam").into_bytes()
}

async fn submit(client: &Client, message: Message) -> v1::SubmitMessageResponse {
    let request =
        v1::SubmitMessageRequest { endpoint_id: "epr".into(), message: Some(message), message_id: String::new() };
    client.inbound().submit_message(request).await.expect("it is answered").into_inner()
}

/// Everything that came, the oldest first.
async fn all(client: &Client) -> Vec<v1::InboundMessage> {
    let listed = client.inbound().list_inbound_messages(v1::ListInboundMessagesRequest::default()).await;
    let mut messages = listed.expect("a list").into_inner().messages;
    messages.reverse();
    messages
}

fn again(id: &str) -> v1::ReprocessInboundMessageRequest {
    v1::ReprocessInboundMessageRequest {
        request_id: request_id(),
        inbound_message_id: id.into(),
        reason: "the team was added".into(),
    }
}

async fn run(client: &Client, request: &v1::ReprocessInboundMessageRequest) -> v1::InboundMessage {
    let answer = client.inbound().reprocess_inbound_message(request.clone()).await.expect("it is run again");
    answer.into_inner().message.expect("the message")
}

async fn referrals(client: &Client) -> Vec<v1::Referral> {
    client.referrals().list_referrals(v1::ListReferralsRequest::default()).await.expect("a list").into_inner().referrals
}

fn text(answers: &[Vec<u8>]) -> String {
    answers.iter().map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

/// The team is added and the bridge started again: what was refused for it becomes a referral, once, and a later message that speaks of it
/// can be run after it.
async fn mended(mut stage: Stage, messages: &[Message], is_yes: impl Fn(&v1::SubmitMessageResponse) -> bool) {
    let bridge = Bridge::start(&stage).await;
    for message in messages {
        let answer = submit(&bridge.client, message.clone()).await;
        assert!(!is_yes(&answer), "{} {}", answer.http_status, text(&answer.answers));
    }
    let kept = all(&bridge.client).await;
    assert_eq!(kept.len(), messages.len());
    assert!(kept.iter().all(|m| m.state() == v1::InboundState::Parked), "{:?}", kept[0].reason);
    assert!(kept[0].reason.contains("details.team"), "{}", kept[0].reason);
    // Nothing is mended yet.
    let still = run(&bridge.client, &again(&kept[0].id)).await;
    assert_eq!((still.state(), &still.reason, &still.id), (v1::InboundState::Parked, &kept[0].reason, &kept[0].id));
    assert!(referrals(&bridge.client).await.is_empty());
    bridge.stop().await;

    stage.team("newteam");
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let request = again(&kept[0].id);
    let applied = run(client, &request).await;
    assert_eq!(applied.state(), v1::InboundState::Applied, "{}", applied.reason);
    assert!(
        applied.reason.contains("new here"),
        "that the EPR may have told of them meanwhile is said: {}",
        applied.reason
    );
    let made = referrals(client).await;
    assert_eq!(made.len(), 1);
    assert_eq!(applied.referral_id.as_ref(), Some(&made[0].id));
    assert_eq!(applied.received_at, kept[0].received_at, "it is the message of the time it came");
    // The same request again is answered the same; another one finds nothing to run.
    assert_eq!(run(client, &request).await, applied);
    let twice = client.inbound().reprocess_inbound_message(again(&kept[0].id)).await.expect_err("it was applied");
    assert_eq!(reason_of(&twice), "WRONG_STATE");
    let other = v1::ReprocessInboundMessageRequest { reason: "another reason".into(), ..request };
    let reused = client.inbound().reprocess_inbound_message(other).await.expect_err("the id was used");
    assert_eq!(reason_of(&reused), "REQUEST_ID_REUSED");
    // A sender that sends it again hears what became of it, and it is still one referral.
    let answer = submit(client, messages[0].clone()).await;
    assert!(is_yes(&answer), "{} {}", answer.http_status, text(&answer.answers));
    for later in &kept[1..] {
        let applied = run(client, &again(&later.id)).await;
        assert_eq!(applied.state(), v1::InboundState::Applied, "{}", applied.reason);
    }
    let after = referrals(client).await;
    assert_eq!((after.len(), &after[0].id), (1, &made[0].id));
    let closed = after[0].state() == v1::ReferralState::Closed;
    assert_eq!(closed, kept.len() > 1, "what took it back was run after it");
    bridge.stop().await;
}

fn is_aa(answer: &v1::SubmitMessageResponse) -> bool {
    text(&answer.answers).contains("MSA|AA|")
}

fn is_created(answer: &v1::SubmitMessageResponse) -> bool {
    answer.http_status == 201 && answer.location.starts_with("ServiceRequest/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_hl7_message_becomes_a_referral_when_it_is_run_again_after_it_was_mended() {
    let messages = [Message::Hl7v2(referral()), Message::Hl7v2(taken_back())];
    mended(Stage::sqlite([endpoint("epr", nobody(), "")]), &messages, is_aa).await;
    mended(Stage::postgres([endpoint("epr", nobody(), "")]), &messages, is_aa).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_resource_becomes_a_referral_when_it_is_run_again_after_it_was_mended() {
    let messages = [Message::Fhir(resource())];
    mended(Stage::sqlite([over_fhir()]), &messages, is_created).await;
    mended(Stage::postgres([over_fhir()]), &messages, is_created).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_message_of_xml_becomes_a_referral_when_it_is_run_again_after_it_was_mended() {
    let mut password = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut password, b"s3cret-of-tests").expect("written");
    let messages = [Message::Xml(in_xml())];
    let is_taken = |a: &v1::SubmitMessageResponse| a.http_status == 200 && text(&a.answers).contains("M-20260301-0007");
    mended(Stage::sqlite([over_xml(&password)]), &messages, is_taken).await;
    mended(Stage::postgres([over_xml(&password)]), &messages, is_taken).await;
}

async fn kept(bridge: &small::Bridge, state: InboundState) -> Vec<InboundId> {
    let filter = InboundFilter { states: vec![state], ..InboundFilter::default() };
    let page = bridge.store.find_inbound(&Scope::system(), &filter, Page { size: 100, after: None }).await;
    page.expect("a list").messages.iter().map(|i| i.id).collect()
}

async fn family(bridge: &small::Bridge) -> String {
    let by = PatientBy::NhsNumber(NhsNumber::parse("9990000018").expect("a test number"));
    let page = Page { size: 10, after: None };
    let found = bridge.store.find_patients(&Scope::system(), &small::trust(), &by, page).await.expect("read");
    found[0].details.name.given.0.clone()
}

/// Parked is the older of two messages about a patient; the newer one was applied meanwhile.
#[tokio::test]
async fn a_message_run_again_never_overwrites_what_its_sender_told_later() {
    for test in stores() {
        let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
        let bridge = small::Bridge::start(&test.url, nobody(), tweaks).await;
        let told = |control_id: &str, minute: u32, given: &str| {
            format!(
                "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260301120000||ADT^A31|{control_id}|T|2.4\rEVN||20260301120000||||2026030112{minute:02}00\r\
                 PID|1||9990000018^^^NHS^NH||TESTPATIENT^{given}^^^^^L||19850412\r"
            )
            .into_bytes()
        };
        let strict = Source { allowed: vec![("OTHER".into(), "RZ9".into())], ..bridge.source() };
        for (source, message) in [(&strict, told("M1", 1, "OLD")), (&bridge.source(), told("M2", 2, "NEW"))] {
            receive(source, message).await;
        }
        assert_eq!(family(&bridge).await, "NEW");
        let parked = kept(&bridge, InboundState::Parked).await;
        let read = || async { bridge.store.inbound(&Scope::system(), parked[0]).await.expect("read").expect("kept") };
        let way_in = bridge.way_in();
        way_in.reprocess(bridge.call(), read().await, "let in".into()).await.expect("run again");
        let now = read().await;
        assert_eq!((now.state, now.rule.as_deref()), (InboundState::Ignored, Some("(older news)")));
        assert_eq!(family(&bridge).await, "NEW", "the newer stands");
        drop((way_in, strict));
        bridge.stop().await;
    }
}

#[tokio::test]
async fn what_came_by_mesh_from_another_mailbox_makes_nothing_when_it_is_run_again() {
    for store in stores() {
        let bridge =
            small::Bridge::start(&store.url, nobody(), Tweaks { without_outbox: true, ..Tweaks::default() }).await;
        // As the mailbox's reader keeps it: shown, and parked.
        receive(&bridge.source(), taken_back()).await;
        let parked = kept(&bridge, InboundState::Parked).await.remove(0);
        let mut message = bridge.store.inbound(&Scope::system(), parked).await.expect("read").expect("there");
        message.source = "mesh X26OTHER".into();
        for theirs in [None, Some("X26ABC1".to_owned())] {
            let way_in = bridge.way_in().for_mailbox(theirs);
            way_in.reprocess(bridge.call(), message.clone(), "mended".into()).await.expect("it is looked at");
            let now = bridge.store.inbound(&Scope::system(), parked).await.expect("read").expect("there");
            assert_eq!(now.state.word(), "PARKED");
            assert!(now.reason.contains("another mailbox"), "{}", now.reason);
        }
        bridge.stop().await;
    }
}

/// However much it looks like a whole one: what is missing nobody knows.
#[tokio::test]
async fn the_beginning_of_a_message_that_is_too_large_is_kept_refused_and_never_run_again() {
    for store in stores() {
        let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
        let bridge = small::Bridge::start(&store.url, nobody(), tweaks).await;
        let answers = receive_cut_off(&bridge.source(), referral()).await;
        let answer = text(&answers);
        assert!(answer.contains("MSA|AR|") && answer.contains("larger than the listener takes"), "{answer}");
        let id = kept(&bridge, InboundState::Parked).await[0];
        let read = || async { bridge.store.inbound(&Scope::system(), id).await.expect("read").expect("kept") };
        assert_eq!(read().await.bytes.0, referral());
        assert!(read().await.reason.contains("max_frame_bytes"), "{}", read().await.reason);
        let way_in = bridge.way_in();
        way_in.reprocess(bridge.call(), read().await, "let in".into()).await.expect("it is looked at");
        assert_eq!(read().await.state, InboundState::Parked);
        assert!(read().await.reason.contains("max_frame_bytes"));
        // Sent again it is the same; bytes of no sender are kept too.
        receive_cut_off(&bridge.source(), referral()).await;
        assert!(receive_cut_off(&bridge.source(), b"x".repeat(100)).await.is_empty());
        assert_eq!(kept(&bridge, InboundState::Parked).await.len(), 2);
        // Whole, under the same id, it is taken.
        receive(&bridge.source(), [referral(), b"NTE|1||whole\r".to_vec()].concat()).await;
        assert_eq!(kept(&bridge, InboundState::Applied).await.len(), 1);
        drop(way_in);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn of_two_who_run_a_message_again_at_once_one_does() {
    for test in stores() {
        let tweaks = Tweaks { without_outbox: true, ..Tweaks::default() };
        let bridge = small::Bridge::start(&test.url, nobody(), tweaks).await;
        let strict = Source { allowed: vec![("OTHER".into(), "RZ9".into())], ..bridge.source() };
        receive(&strict, referral()).await;
        let id = kept(&bridge, InboundState::Parked).await[0];
        let parked = bridge.store.inbound(&Scope::system(), id).await.expect("read").expect("kept");
        let way_in = bridge.way_in();
        let (one, two) = tokio::join!(
            way_in.reprocess(bridge.call(), parked.clone(), "one".into()),
            way_in.reprocess(bridge.call(), parked.clone(), "two".into())
        );
        let refused = [one, two].into_iter().filter(|r| matches!(r, Err(WriteError::Refused(_)))).count();
        assert_eq!(refused, 1, "the message is applied once");
        assert_eq!(kept(&bridge, InboundState::Applied).await, [id]);
        drop((way_in, strict));
        bridge.stop().await;
    }
}

fn by_epr(endpoint: &str, message: Message) -> v1::SubmitMessageRequest {
    v1::SubmitMessageRequest { endpoint_id: endpoint.into(), message: Some(message), message_id: String::new() }
}

const SUBMIT: &str = "InboundService/SubmitMessage";
const LIST: &str = "InboundService/ListInboundMessages";
const GET: &str = "InboundService/GetInboundMessage";

/// A referral that lacks its NHS number's check digit: parked.
fn broken() -> Vec<u8> {
    let text = String::from_utf8(referral()).expect("UTF-8");
    text.replace("9990000018", "9990000019").replace("|P|2.4", "|T|2.4").into_bytes()
}

#[tokio::test]
async fn a_message_is_shown_to_those_who_may_read_it_and_masked_to_integrators() {
    let store = stores().next().expect("SQLite");
    let bridge = api_support::Bridge::start_on(&store.url).await;
    let answer: v1::SubmitMessageResponse = bridge.done("epr", SUBMIT, &by_epr(RIO, Message::Hl7v2(broken()))).await;
    assert!(text(&answer.answers).contains("MSA|AE|EPR000001200"), "{}", text(&answer.answers));
    let listed: v1::ListInboundMessagesResponse =
        bridge.done("integrator", LIST, &v1::ListInboundMessagesRequest::default()).await;
    let [message] = &listed.messages[..] else { panic!("one message") };
    assert_eq!((message.message_type.as_str(), message.state()), ("REF^I12", v1::InboundState::Parked));
    assert!(!message.reason.contains("9990000019"), "{}", message.reason);
    let get = v1::GetInboundMessageRequest { inbound_message_id: message.id.clone(), include_bytes: true };
    for (who, masked) in [("worker", false), ("auditor", false), ("epr", false), ("integrator", true)] {
        let got: v1::GetInboundMessageResponse = bridge.done(who, GET, &get).await;
        let received = String::from_utf8(got.received.to_vec()).expect("UTF-8");
        assert_eq!(got.masked, masked, "{who}");
        assert_eq!(received.as_bytes() == broken(), !masked, "{who}");
        for secret in ["TESTPATIENT", "9990000019", "19850412", "retail"] {
            assert_eq!(received.contains(secret), !masked, "{who}: {secret}");
        }
        assert!(received.starts_with("MSH|^~\\&|EPR|RZZ|") && received.contains("\rPID|"), "{who}: {received}");
        assert_eq!(got.answers, answer.answers, "{who}");
    }
    let without = v1::GetInboundMessageRequest { include_bytes: false, ..get.clone() };
    let got: v1::GetInboundMessageResponse = bridge.done("worker", GET, &without).await;
    assert!(got.received.is_empty() && got.answers.is_empty());
    // Another endpoint's system and another trust see nothing of it.
    assert_eq!(bridge.reason("epr-spare", GET, &get).await, "NOT_FOUND");
    for who in ["epr-spare", "other"] {
        let listed: v1::ListInboundMessagesResponse =
            bridge.done(who, LIST, &v1::ListInboundMessagesRequest::default()).await;
        assert!(listed.messages.is_empty(), "{who}");
    }
    assert_eq!(bridge.reason("epr", SUBMIT, &by_epr(SPARE, Message::Hl7v2(broken()))).await, "NOT_FOUND");
    let rows = audited(&store.url).await;
    let read = |who: &str, action: &str| rows.iter().any(|(by, _, what, _)| by == who && what == action);
    assert!(read("worker", "inbound.read_bytes") && read("integrator", "inbound.read_masked"), "{rows:?}");
    assert!(read("epr", "inbound.submit") && read("integrator", "inbound.list"), "{rows:?}");
    bridge.end().await;
}

#[tokio::test]
async fn messages_are_listed_by_what_is_asked_for_page_by_page() {
    for store in stores() {
        let bridge = api_support::Bridge::start_on(&store.url).await;
        let text = String::from_utf8(broken()).expect("UTF-8");
        for n in 0..5 {
            let kind = if n % 2 == 0 { "REF^I12" } else { "ADT^A60" };
            let message = text.replace("EPR000001200", &format!("M{n}")).replace("REF^I12", kind);
            let _ = bridge
                .done::<v1::SubmitMessageResponse>("epr", SUBMIT, &by_epr(RIO, Message::Hl7v2(message.into_bytes())))
                .await;
            bridge.clock.advance(std::time::Duration::from_secs(60));
        }
        let list = |request: v1::ListInboundMessagesRequest| {
            let bridge = &bridge;
            async move {
                let (mut request, mut ids) = (request, Vec::new());
                for _ in 0..10 {
                    let page: v1::ListInboundMessagesResponse = bridge.done("auditor", LIST, &request).await;
                    assert!(page.messages.len() <= 2);
                    ids.extend(page.messages.into_iter().map(|m| m.control_id));
                    if page.next_page_token.is_empty() {
                        return ids;
                    }
                    request.page_token = page.next_page_token;
                }
                panic!("the list has no end")
            }
        };
        let two = v1::ListInboundMessagesRequest { page_size: 2, ..Default::default() };
        assert_eq!(list(two.clone()).await, ["M4", "M3", "M2", "M1", "M0"]);
        let only = v1::ListInboundMessagesRequest { message_type: "ADT^A60".into(), ..two.clone() };
        assert_eq!(list(only.clone()).await, ["M3", "M1"]);
        let parked = v1::ListInboundMessagesRequest { states: vec![v1::InboundState::Applied.into()], ..two.clone() };
        assert!(list(parked).await.is_empty());
        let minutes = |n: i64| {
            let at: jiff::Timestamp = api_support::NOW.parse().expect("a time");
            Some((at + jiff::SignedDuration::from_secs(60 * n)).into())
        };
        let between =
            v1::ListInboundMessagesRequest { received_from: minutes(1), received_before: minutes(3), ..two.clone() };
        assert_eq!(list(between).await, ["M2", "M1"]);
        // A token is of the list it was given for.
        let page: v1::ListInboundMessagesResponse = bridge.done("auditor", LIST, &two).await;
        let foreign = v1::ListInboundMessagesRequest { page_token: page.next_page_token, ..only };
        assert_eq!(bridge.reason("auditor", LIST, &foreign).await, "BAD_TOKEN");
        bridge.end().await;
    }
}

#[tokio::test]
async fn a_submitted_message_is_taken_as_its_listener_would() {
    let bridge = api_support::Bridge::start().await;
    let broken_fields = |request: v1::SubmitMessageRequest| {
        let bridge = &bridge;
        async move { fields_of(&bridge.bytes("epr", SUBMIT, &request).await.expect_err("it breaks rules")) }
    };
    assert_eq!(broken_fields(v1::SubmitMessageRequest::default()).await, ["endpoint_id", "message"]);
    let odd = v1::SubmitMessageRequest { message_id: "x".into(), ..by_epr(RIO, Message::Hl7v2(Vec::new())) };
    assert_eq!(broken_fields(odd).await, ["hl7v2", "message_id"]);
    // The pack reads HL7.
    assert_eq!(bridge.reason("epr", SUBMIT, &by_epr(RIO, Message::Fhir(resource()))).await, "WRONG_STATE");
    // Two messages in a batch, an acknowledgement of nothing, and what is no message.
    let text = String::from_utf8(broken()).expect("UTF-8");
    let batch = format!("BHS|^~\\&|EPR\r{text}{}BTS|2\r", text.replace("EPR000001200", "M2"));
    let answer: v1::SubmitMessageResponse =
        bridge.done("epr", SUBMIT, &by_epr(RIO, Message::Hl7v2(batch.into_bytes()))).await;
    assert_eq!(answer.answers.len(), 2);
    let ack = b"MSH|^~\\&|EPR|RXX|IPS|RXX|20260302||ACK|A1|T|2.4\rMSA|AA|UNKNOWN\r".to_vec();
    for unanswered in [ack, b"hello".to_vec()] {
        let answer: v1::SubmitMessageResponse =
            bridge.done("epr", SUBMIT, &by_epr(RIO, Message::Hl7v2(unanswered))).await;
        assert!(answer.answers.is_empty());
    }
    let listed: v1::ListInboundMessagesResponse =
        bridge.done("epr", LIST, &v1::ListInboundMessagesRequest::default()).await;
    assert_eq!(
        listed.messages.len(),
        3,
        "two of the batch and the bytes that are no message; an acknowledgement is a reply"
    );
    // What is no message cannot become one.
    let no_message = listed.messages.iter().find(|m| m.message_type.is_empty()).expect("kept");
    let request = again(&no_message.id);
    let still: v1::ReprocessInboundMessageResponse =
        bridge.done("integrator", "InboundService/ReprocessInboundMessage", &request).await;
    assert_eq!(still.message.map(|m| m.state()), Some(v1::InboundState::Parked));
    bridge.end().await;
}
