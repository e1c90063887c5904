//! Notes over SOAP, by the pack `soap-notes`: logged in first, filed only on every proof the pack asks for, and never on anything else.

use crate::e2e_support::{Bridge, PATIENCE, Stage, endpoint, nobody, shown};
use crate::support::wait_until;
use crate::support::web_end::{Act, Got, WebEnd, reply};
use ips_bridge::wire::v1;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::NamedTempFile;
use v1::DeliveryState as State;
use v1::EndpointGate as Gate;
use v1::ParkReason as Reason;

const PASSWORD: &str = "s3cret<pass>&word";
/// What a text must survive.
const TEXT: &str = "Met <Sam> & \"Alex\"\n\tat the café ]]> 🙂";

/// The one secret of these tests, where config looks for it.
fn password() -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(PASSWORD.as_bytes()).expect("written");
    file
}

fn over_soap(epr: &WebEnd, password: &NamedTempFile, own: &str) -> toml::Table {
    let mut endpoint = endpoint("epr", nobody(), own);
    for key in ["mllp", "settings", "listen"] {
        endpoint.remove(key);
    }
    let https = format!(
        "adapter = \"soap-notes\"\ntransport = \"https\"\n[https]\nbase_url = \"http://{}/api\"\nreply_timeout = \"1s\"\n\
         [https.auth]\nkind = \"session\"\nuser = \"ips&co\"\npassword = {{ file = \"{}\" }}\ntimeout = \"1s\"\n\
         [settings]\nsystem = \"IPSBRIDGE\"\n",
        epr.addr(),
        password.path().display()
    );
    endpoint.extend(https.parse::<toml::Table>().expect("TOML"));
    endpoint
}

fn envelope(inner: &str) -> String {
    format!("<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{inner}</s:Body></s:Envelope>")
}

fn is_login(got: &Got) -> bool {
    got.line.starts_with("POST /api/session ")
}

/// An element's text, as the far end reads it.
fn text_in(got: &Got, name: &str) -> String {
    let body = String::from_utf8(got.body.clone()).expect("UTF-8");
    let document = roxmltree::Document::parse(&body).expect("well-formed");
    let found = document.descendants().find(|n| n.tag_name().name() == name);
    found.and_then(|n| n.text()).unwrap_or_default().to_owned()
}

fn logged_in(token: usize) -> Act {
    let inner = format!("<LoginResponse xmlns=\"urn:example:notes:1\"><Token>TOKEN-{token}</Token></LoginResponse>");
    Act::Say(reply(200, "", &envelope(&inner)))
}

fn answer(reference: &str, result: &str, id: &str) -> Act {
    let inner = format!(
        "<R xmlns=\"urn:example:notes:1\"><Result code=\"{result}\"/><Reference>{reference}</Reference><NoteId>{id}</NoteId></R>"
    );
    Act::Say(reply(200, "", &envelope(&inner)))
}

fn filed(got: &Got, id: &str) -> Act {
    answer(&text_in(got, "Reference"), "OK", id)
}

fn fault(status: u16, code: &str) -> Act {
    let inner = format!("<s:Fault><faultcode>{code}</faultcode><faultstring>no</faultstring></s:Fault>");
    Act::Say(reply(status, "", &envelope(&inner)))
}

fn notes(epr: &WebEnd) -> Vec<Got> {
    epr.got().into_iter().filter(|g| !is_login(g)).collect()
}

fn logins(epr: &WebEnd) -> usize {
    epr.got().iter().filter(|g| is_login(g)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_is_filed_replaced_and_withdrawn_over_soap_in_one_session() {
    for make in [Stage::sqlite, Stage::postgres] as [fn([toml::Table; 1]) -> Stage; 2] {
        let ids = AtomicUsize::new(17);
        let epr = WebEnd::start(move |_, got| match is_login(got) {
            true => logged_in(1),
            false => filed(got, &ids.fetch_add(1, Ordering::SeqCst).to_string()),
        })
        .await;
        let password = password();
        let stage = make([over_soap(&epr, &password, "")]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        let first = client.write(&person, TEXT).await;
        let d = client.filed(first.id()).await;
        assert_eq!((d.record_id.as_str(), d.attempts), ("17", 1), "{}", shown(&d));
        let second = client.replace(&first, &person, "Met at the library.").await;
        assert_eq!(client.filed(second.id()).await.record_id, "18");
        let withdrawn = client.withdraw(&second).await.expect("there is something to withdraw");
        client.filed(&withdrawn.id).await;

        let login = epr.got().into_iter().find(is_login).expect("it logged in");
        assert_eq!((text_in(&login, "User"), text_in(&login, "Password")), ("ips&co".into(), PASSWORD.into()));
        assert_eq!((login.header("soapaction"), login.header("authorization")), ("\"urn:example:notes:1#Login\"", ""));
        let sent = notes(&epr);
        assert_eq!((logins(&epr), sent.len()), (1, 3));
        assert!(sent.iter().all(|g| g.header("authorization") == "Session TOKEN-1"));
        assert_eq!(sent[0].header("soapaction"), "\"urn:example:notes:1#CreateNote\"");
        assert_eq!(sent[0].header("content-type"), "text/xml; charset=utf-8");
        assert_eq!(text_in(&sent[0], "Text"), TEXT, "exactly as it was written");
        assert_eq!(text_in(&sent[1], "Replaces"), text_in(&sent[0], "Reference"));
        assert!(String::from_utf8_lossy(&sent[1].body).contains("noteId=\"17\""));
        assert_eq!(text_in(&sent[2], "Withdraws"), text_in(&sent[1], "Reference"));
        for attempt in client.attempts(first.id()).await {
            let kept = String::from_utf8(attempt.sent.expect("bytes")).expect("UTF-8");
            assert!(
                kept.contains("CreateNote") && !kept.contains("TOKEN") && !kept.contains("Authorization"),
                "{kept}"
            );
        }
        bridge.stop().await;
        if let Some(db) = stage.store_url().strip_prefix("sqlite://") {
            let folder = Path::new(db).parent().expect("a folder");
            let files = std::fs::read_dir(folder).expect("the store").map(|e| e.expect("readable").path());
            let kept: Vec<u8> =
                files.filter(|f| f.is_file()).flat_map(|f| std::fs::read(f).expect("readable")).collect();
            let holds = |word: &str| kept.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(holds("#CreateNote"), "the store's files are looked at");
            assert!(!holds("TOKEN-1") && !holds("s3cret"), "a secret is kept");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_session_is_renewed_once_inside_the_same_attempt() {
    // By its status, and by the Fault that the pack names.
    for expired in [|| Act::Say(reply(401, "", "")), || fault(500, "s:SessionExpired")] as [fn() -> Act; 2] {
        let given = AtomicUsize::new(0);
        let epr = WebEnd::start(move |_, got| match is_login(got) {
            true => logged_in(given.fetch_add(1, Ordering::SeqCst)),
            false if got.header("authorization") == "Session TOKEN-0" => expired(),
            false => filed(got, "17"),
        })
        .await;
        let password = password();
        let stage = Stage::sqlite([over_soap(&epr, &password, "")]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let person = client.person(0, "epr").await;
        let written = client.write(&person, "Rang a garden centre.").await;
        let d = client.filed(written.id()).await;
        assert_eq!((d.attempts, logins(&epr), notes(&epr).len()), (1, 2, 2), "{}", shown(&d));
        assert_eq!(notes(&epr)[0].body, notes(&epr)[1].body, "the same bytes");
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_behind_a_log_in_that_fails_stay_queued_and_are_filed_once_it_works() {
    let state: Arc<AtomicUsize> = Arc::default();
    let (ended, back) = (1, 2);
    let now = state.clone();
    let given = AtomicUsize::new(0);
    let epr = WebEnd::start(move |_, got| match (is_login(got), now.load(Ordering::SeqCst)) {
        (true, 1) => fault(500, "s:Server"),
        (true, _) => logged_in(given.fetch_add(1, Ordering::SeqCst)),
        (false, 0) => filed(got, "17"),
        (false, _) if got.header("authorization") == "Session TOKEN-0" => Act::Say(reply(401, "", "")),
        (false, _) => filed(got, &text_in(got, "Reference")),
    })
    .await;
    let password = password();
    let own = "after_unknown = \"park\"\nmax_unknown_resends = 0\nmax_refused_retries = 1";
    let stage = Stage::sqlite([over_soap(&epr, &password, own)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let first = client.write(&client.person(0, "epr").await, "Rang a garden centre.").await;
    client.filed(first.id()).await;
    state.store(ended, Ordering::SeqCst);
    let mut waiting = Vec::new();
    for nth in 1..=8 {
        let person = client.person(nth, "epr").await;
        waiting.push(client.write(&person, "Met at the library.").await);
    }
    wait_until(PATIENCE, "some failed log ins", async || logins(&epr) > 4).await;
    let status = client.endpoint("epr").await;
    assert!(status.closed_because.contains("no access token") || status.gate() == Gate::Probing, "{status:?}");
    for written in &waiting {
        let d = client.delivery(written.id()).await;
        assert!(matches!(d.state(), State::Queued | State::Sending) && d.attempts <= 1, "{}", shown(&d));
        assert!(!d.may_have_been_received || d.state() == State::Sending, "{}", shown(&d));
    }
    let refused = notes(&epr).len() - 1;
    assert!((1..=8).contains(&refused), "the dead token was shown {refused} times");
    state.store(back, Ordering::SeqCst);
    let mut strays = 0;
    for written in &waiting {
        let d = client.filed(written.id()).await;
        assert_eq!(d.attempts, 1, "{}", shown(&d));
        let replies = client.attempts(written.id()).await.into_iter().flat_map(|a| a.replies);
        strays += replies.filter(|r| r.unmatched && r.codes == "401").count();
    }
    assert_eq!(strays, refused, "each refusal is kept, under its own code");
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_shows_the_note_as_filed_is_never_answered_with_a_second_copy() {
    let expired = "<s:Fault><faultcode>s:SessionExpired</faultcode></s:Fault>";
    let yes = "<R xmlns=\"urn:example:notes:1\"><NoteId>17</NoteId></R>";
    for (status, inner) in [(401, yes.to_owned()), (500, format!("{yes}{expired}"))] {
        let epr = WebEnd::start(move |_, got| match is_login(got) {
            true => logged_in(1),
            false => Act::Say(reply(status, "", &envelope(&inner))),
        })
        .await;
        let password = password();
        let own = "after_unknown = \"park\"\nmax_unknown_resends = 0";
        let stage = Stage::sqlite([over_soap(&epr, &password, own)]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let written = client.write(&client.person(0, "epr").await, "Rang a garden centre.").await;
        let d = client.parked(written.id(), Reason::OutcomeUnknown).await;
        assert_eq!((d.attempts, notes(&epr).len()), (1, 1), "{}", shown(&d));
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateways_pages_close_the_gate_as_silences_do() {
    let down: Arc<AtomicUsize> = Arc::default();
    let now = down.clone();
    let epr = WebEnd::start(move |_, got| match (is_login(got), now.load(Ordering::SeqCst)) {
        (true, _) => logged_in(1),
        (false, 0) => Act::Say(reply(500, "", "<html><body><h1>Down for maintenance</h1></body></html>")),
        (false, _) => filed(got, "17"),
    })
    .await;
    let password = password();
    // The gate stays closed for as long as the test lasts.
    let own = "after_unknown = \"park\"\nmax_unknown_resends = 0\nprobe = { first = \"60s\", cap = \"60s\" }";
    let stage = Stage::sqlite([over_soap(&epr, &password, own)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    for nth in 0..3 {
        let written = client.write(&client.person(nth, "epr").await, "Rang a garden centre.").await;
        client.parked(written.id(), Reason::OutcomeUnknown).await;
    }
    let status = client.endpoint("epr").await;
    assert_eq!(status.gate(), Gate::Closed);
    assert!(status.closed_because.contains("answers 500 with nothing of its own"), "{}", status.closed_because);
    let behind = client.write(&client.person(3, "epr").await, "Rang a garden centre.").await;
    assert_eq!((client.delivery(behind.id()).await.state(), notes(&epr).len()), (State::Queued, 3));
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_that_fails_is_an_outage_and_no_attempt() {
    let asked: Arc<AtomicUsize> = Arc::default();
    let count = asked.clone();
    let epr = WebEnd::start(move |_, got| match is_login(got) {
        true => match count.fetch_add(1, Ordering::SeqCst) {
            0 => Act::Say(reply(503, "", "")),
            1 => fault(500, "s:Server"),
            2 => fault(200, "s:Server.Busy"),
            3 => Act::Say(reply(200, "", "<html><body>Welcome</body></html>")),
            4 => Act::SayAndClose(Vec::new()),
            5 => Act::Hang,
            _ => logged_in(9),
        },
        false => filed(got, "17"),
    })
    .await;
    let password = password();
    let stage = Stage::sqlite([over_soap(&epr, &password, "after_unknown = \"park\"\nmax_unknown_resends = 0")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let written = client.write(&person, "Rang a garden centre.").await;
    let d = client.filed(written.id()).await;
    assert_eq!((d.attempts, notes(&epr).len()), (1, 1), "{}", shown(&d));
    assert!(asked.load(Ordering::SeqCst) >= 7);
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_by_a_fault_is_not_heard_of_again_for_a_minute() {
    for (status, code) in [(200, "s:Client"), (500, "s:FailedAuthentication")] {
        let epr = WebEnd::start(move |_, got| match is_login(got) {
            true => fault(status, code),
            false => filed(got, "17"),
        })
        .await;
        let password = password();
        let stage = Stage::sqlite([over_soap(&epr, &password, "")]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        let written = client.write(&client.person(0, "epr").await, "Rang a garden centre.").await;
        // Accounts are locked by those who insist. The gate's own probes come every 100 ms.
        let refused = async || client.endpoint("epr").await.closed_because.contains("not asked again before");
        wait_until(PATIENCE, "the refusal", refused).await;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        assert_eq!((logins(&epr), notes(&epr).len()), (1, 0), "{status} {code}");
        assert_eq!(client.delivery(written.id()).await.attempts, 0);
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_asks_to_be_left_alone_is() {
    for status in [429, 503] {
        let epr = WebEnd::start(move |_, got| match is_login(got) {
            true => logged_in(1),
            false => Act::Say(reply(status, "Retry-After: 1800\r\n", &envelope("<Busy/>"))),
        })
        .await;
        let password = password();
        let own = "after_unknown = \"park\"\nmax_unknown_resends = 0";
        let stage = Stage::sqlite([over_soap(&epr, &password, own)]);
        let bridge = Bridge::start(&stage).await;
        let client = &bridge.client;
        client.write(&client.person(0, "epr").await, "Rang a garden centre.").await;
        let closed = async || client.endpoint("epr").await.closed_because.contains("to be left alone for 1800 s");
        wait_until(PATIENCE, "the gate", closed).await;
        // Its probes would come every 100 ms.
        let behind = client.write(&client.person(1, "epr").await, "Met at the library.").await;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        assert_eq!(notes(&epr).len(), 1, "{status}");
        assert_eq!(
            (client.endpoint("epr").await.gate(), client.delivery(behind.id()).await.state()),
            (Gate::Closed, State::Queued)
        );
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_every_proof_the_pack_asks_for_files_a_note() {
    type Answer = fn(&Got) -> Act;
    let answers: [(&str, Reason, Answer); 10] = [
        ("a Fault that refuses", Reason::Refused, |_| fault(500, "s:Client")),
        ("a Fault of the server", Reason::OutcomeUnknown, |_| fault(500, "s:Server")),
        ("a Fault in a 200", Reason::OutcomeUnknown, |_| fault(200, "s:Odd")),
        ("a page of a proxy", Reason::OutcomeUnknown, |_| Act::Say(reply(200, "", "<html>OK</html>"))),
        ("nothing in a 200", Reason::OutcomeUnknown, |_| Act::Say(reply(200, "", ""))),
        ("a result no row lists", Reason::OutcomeUnknown, |got| answer(&text_in(got, "Reference"), "STORED", "17")),
        ("another's reference", Reason::OutcomeUnknown, |_| answer("SOMEBODY-ELSE", "OK", "17")),
        ("no id", Reason::OutcomeUnknown, |got| answer(&text_in(got, "Reference"), "OK", "")),
        ("it has one already", Reason::MayAlreadyBeFiled, |got| answer(&text_in(got, "Reference"), "DUPLICATE", "")),
        ("silence", Reason::OutcomeUnknown, |_| Act::Hang),
    ];
    let now: Arc<AtomicUsize> = Arc::default();
    let which = now.clone();
    let epr = WebEnd::start(move |_, got| match is_login(got) {
        true => logged_in(1),
        false => answers[which.load(Ordering::SeqCst)].2(got),
    })
    .await;
    let password = password();
    let stage = Stage::sqlite([over_soap(&epr, &password, "after_unknown = \"park\"\nmax_unknown_resends = 0")]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    for (nth, (what, reason, _)) in answers.iter().enumerate() {
        now.store(nth, Ordering::SeqCst);
        let person = client.person(nth, "epr").await;
        let written = client.write(&person, "Rang a garden centre.").await;
        let d = client.parked(written.id(), *reason).await;
        assert!(d.record_id.is_empty() && d.state() == State::Parked && d.attempts == 1, "{what}: {}", shown(&d));
    }
    assert_eq!(notes(&epr).len(), answers.len(), "none was sent a second time");
    bridge.stop().await;
}

#[tokio::test]
async fn a_pack_that_logs_in_and_an_endpoint_that_does_not_say_as_whom_do_not_start() {
    let epr = WebEnd::start(|_, _| logged_in(1)).await;
    let password = password();
    let mut without = over_soap(&epr, &password, "");
    without.get_mut("https").and_then(|h| h.as_table_mut()).expect("https").remove("auth");
    let said = Stage::sqlite([without]).does_not_start().await;
    assert!(said.contains("soap-notes@") && said.contains("does not say as whom"), "{said}");
    let mut other = over_soap(&epr, &password, "");
    other.insert("adapter".into(), "oracle-millennium".into());
    let said = Stage::sqlite([other]).does_not_start().await;
    assert!(said.contains("has no [session]"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
