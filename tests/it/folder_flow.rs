//! A bridge whose EPR is a folder: documents go in whole, result files and lists come back, a restart makes no second copy.

use crate::e2e_support::{Bridge, PATIENCE, Stage, TRUST};
use crate::support::wait_until;
use ips_bridge::app::SystemClock;
use ips_bridge::domain::ambient::Clock;
use ips_bridge::wire::v1;
use std::fs;
use std::path::{Path, PathBuf};
use v1::DeliveryState as State;

const ENDPOINT: &str = "docs";

struct Folders {
    out: PathBuf,
    results: PathBuf,
    lists: PathBuf,
}

fn stage(filed_by: &str) -> (Stage, Folders, tempfile::TempDir) {
    let held = crate::support::temp_dir();
    let folders = Folders {
        out: held.path().join("out"),
        results: held.path().join("results"),
        lists: held.path().join("lists"),
    };
    for folder in [&folders.out, &folders.results, &folders.lists] {
        fs::create_dir(folder).expect("a folder");
    }
    let text = format!(
        r#"
id = "{ENDPOINT}"
trust = "{TRUST}"
name = "Document store"
adapter = "document-folder"
transport = "folder"
environment = "test"
filed_by = "{filed_by}"
acknowledged_by = "engine"
control_id_prefix = "DOCS"
after_unknown = "resend"
max_unknown_resends = 5
back_off = {{ first = "20ms", cap = "100ms" }}
probe = {{ first = "20ms", cap = "100ms" }}
[folder]
path = {:?}
results = {:?}
lists = {:?}
poll_interval = "100ms"
settle_time = "0s"
[settings]
document_type = "IPS-NOTE"
"#,
        folders.out, folders.results, folders.lists
    );
    (Stage::sqlite([text.parse().expect("TOML")]), folders, held)
}

/// As file names have it: without a namespace.
fn document_id(delivery: &v1::Delivery) -> String {
    crate::e2e_support::document_id(delivery).trim_end_matches("^IPS").to_owned()
}

fn names(folder: &Path) -> Vec<String> {
    if !folder.exists() {
        return Vec::new();
    }
    let list = fs::read_dir(folder).expect("readable").map(|e| e.expect("readable"));
    let mut names: Vec<String> =
        list.filter(|e| e.path().is_file()).map(|e| e.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

async fn until(what: &str, there: impl Fn() -> bool) {
    wait_until(PATIENCE, what, async || there()).await;
}

#[tokio::test]
async fn a_note_lies_in_the_folder_and_a_result_file_files_it() {
    let (stage, folders, _held) = stage("vendor_report");
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "Cyfarfu â Sam – £20 • ŵ").await;
    bridge.client.until_state(note.id(), State::Accepted).await;
    let id = document_id(&bridge.client.delivery(note.id()).await);
    assert_eq!(names(&folders.out), [format!("{id}.pdf"), format!("{id}.xml")]);
    let index = fs::read_to_string(folders.out.join(format!("{id}.xml"))).expect("the index");
    assert!(index.contains(&format!("<File>{id}.pdf</File>")) && index.contains("<Action>NEW</Action>"), "{index}");
    assert!(!names(&folders.out).join(" ").contains("Testpatient"));

    // A word about something else moves nothing, and is kept.
    fs::write(folders.results.join("01JNBRZC5M8Q4T7V9XA2E3F4G1.ok"), b"").expect("written");
    fs::write(folders.results.join("other.log"), b"not ours").expect("written");
    until("the stranger is put away", || folders.results.join("done/01JNBRZC5M8Q4T7V9XA2E3F4G1.ok").exists()).await;
    assert_eq!(bridge.client.delivery(note.id()).await.state(), State::Accepted);

    // Neither does one that says two things, or that names another document inside than by its name.
    let index = format!("<r><DocumentId>{id}</DocumentId><DocumentId>{id}</DocumentId><Status>FILED</Status></r>");
    let another = "<r><DocumentId>01JNBRZC5M8Q4T7V9XA2E3F4G1</DocumentId><Status>FILED</Status></r>".to_owned();
    for (n, unread) in [index, another].iter().enumerate() {
        fs::write(folders.results.join(format!("{id}.xml")), unread).expect("written");
        until("it is put aside", || names(&folders.results.join("unread")).len() == n + 1).await;
        assert_eq!(bridge.client.delivery(note.id()).await.state(), State::Accepted, "{unread}");
    }

    let result = format!("<r><DocumentId>{id}^IPS</DocumentId><Status>FILED</Status><RecordId>D-4471</RecordId></r>");
    fs::write(folders.results.join(format!("{id}.xml")), result).expect("written");
    let filed = bridge.client.filed(note.id()).await;
    assert_eq!(filed.record_id, "D-4471");
    until("the result is put away", || folders.results.join(format!("done/{id}.xml")).exists()).await;
    assert_eq!(names(&folders.results), ["other.log"], "what is nobody's stays");
    bridge.stop().await;
}

#[tokio::test]
async fn a_refusing_result_parks_and_a_folder_that_is_away_queues() {
    let (stage, folders, _held) = stage("vendor_report");
    let away = folders.out.with_extension("away");
    fs::rename(&folders.out, &away).expect("moved");
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    let client = &bridge.client;
    wait_until(PATIENCE, "the endpoint is known to be away", async || {
        client.endpoint(ENDPOINT).await.gate() != v1::EndpointGate::Open
    })
    .await;
    let waiting = bridge.client.delivery(note.id()).await;
    assert_eq!(waiting.attempts, 0, "not sent is no attempt");
    fs::rename(&away, &folders.out).expect("back");
    bridge.client.until_state(note.id(), State::Accepted).await;
    let id = document_id(&bridge.client.delivery(note.id()).await);
    fs::write(folders.results.join(format!("{id}.err")), b"patient not found").expect("written");
    bridge.client.parked(note.id(), v1::ParkReason::Refused).await;
    bridge.stop().await;
}

/// All lie there at once, written long ago or a moment after another.
#[tokio::test]
async fn of_result_files_that_lie_there_together_the_latest_word_holds_and_of_one_moment_none_is_believed_alone() {
    use v1::ParkReason::FilingContradicted;
    let (stage, folders, _held) = stage("vendor_report");
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    // Each with its ending, its word and its age in seconds.
    /// Ending, what it says, seconds ago.
    type File = (&'static str, &'static str, u64);
    let cases: [(&[File], Option<v1::ParkReason>); 6] = [
        (&[("ok", "", 90), ("err", "no", 60)], Some(FilingContradicted)),
        (&[("err", "no", 90), ("ok", "", 60)], None),
        (&[("xml", "REJECTED", 90), ("ok", "", 60)], None),
        (&[("err", "no", 60), ("ok", "", 60)], Some(FilingContradicted)),
        (&[("xml", "REJECTED", 60), ("ok", "", 60)], Some(FilingContradicted)),
        (&[("xml", "FILED", 60), ("err", "no", 60)], Some(FilingContradicted)),
    ];
    let mut written = Vec::new();
    for _ in &cases {
        let one = bridge.client.write(&person, "First.").await;
        bridge.client.until_state(one.id(), State::Accepted).await;
        written.push(one);
    }
    let mut ids = Vec::new();
    for one in &written {
        ids.push(document_id(&bridge.client.delivery(one.id()).await));
    }
    bridge.stop().await;
    let mut written_at = None;
    for ((files, _), id) in cases.iter().zip(&ids) {
        for (ending, word, age) in *files {
            let text = match *ending {
                "xml" => format!("<r><DocumentId>{id}</DocumentId><Status>{word}</Status></r>"),
                _ => (*word).to_owned(),
            };
            let path = folders.results.join(format!("{id}.{ending}"));
            fs::write(&path, text).expect("written");
            let file = fs::File::options().write(true).open(path).expect("there");
            let now = *written_at.get_or_insert(file.metadata().and_then(|m| m.modified()).expect("a time"));
            file.set_modified(now - std::time::Duration::from_secs(*age)).expect("its time is set");
        }
    }
    let bridge = Bridge::start(&stage).await;
    until("all are put away", || names(&folders.results).is_empty()).await;
    for ((files, parked_as), one) in cases.iter().zip(&written) {
        let d = bridge.client.delivery(one.id()).await;
        let expected = parked_as.map_or((State::Filed, v1::ParkReason::Unspecified), |reason| (State::Parked, reason));
        assert_eq!((d.state(), d.park_reason()), expected, "{files:?}");
    }
    bridge.stop().await;
}

/// The export owns its folder and lets us read only.
#[tokio::test]
async fn a_file_that_cannot_be_moved_holds_up_no_other_and_is_taken_in_once() {
    let (stage, folders, _held) = stage("vendor_report");
    // Where these names are taken by files no folder of that name can be made.
    for name in ["done", "unread"] {
        fs::write(folders.results.join(name), b"").expect("written");
    }
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let mut written = Vec::new();
    for text in ["First.", "Second.", "Third."] {
        written.push(bridge.client.write(&person, text).await);
    }
    for one in &written {
        let d = bridge.client.until_state(one.id(), State::Accepted).await;
        fs::write(folders.results.join(format!("{}.ok", document_id(&d))), b"").expect("written");
    }
    for one in &written {
        bridge.client.filed(one.id()).await;
    }
    let d = bridge.client.delivery(written[0].id()).await;
    let list = format!("document_id\n{}\n", document_id(&d));
    fs::write(folders.lists.join("held.csv"), list).expect("written");
    until("the list is taken in", || !names(&folders.lists.join("done")).is_empty()).await;
    let evidence = bridge.client.delivery(written[0].id()).await.evidence;
    let reports = evidence.iter().filter(|e| e.kind() == v1::EvidenceKind::VendorReport).count();
    assert_eq!(reports, 1, "it lies there, and is not taken in again");
    bridge.stop().await;
}

#[tokio::test]
async fn a_restart_writes_nothing_twice_and_reads_nothing_twice() {
    let (stage, folders, _held) = stage("vendor_report");
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let note = bridge.client.write(&person, "First.").await;
    bridge.client.until_state(note.id(), State::Accepted).await;
    let id = document_id(&bridge.client.delivery(note.id()).await);
    let result = folders.results.join(format!("{id}.ok"));
    fs::write(&result, b"").expect("written");
    let filed = bridge.client.filed(note.id()).await;
    until("put away", || folders.results.join(format!("done/{id}.ok")).exists()).await;
    bridge.stop().await;
    // As if the bridge had stopped before it moved the file: the same file, its time kept.
    fs::rename(folders.results.join(format!("done/{id}.ok")), &result).expect("back");
    let bridge = Bridge::start(&stage).await;
    until("put away again", || folders.results.join(format!("done/{id}.ok")).exists()).await;
    let now = bridge.client.delivery(note.id()).await;
    assert_eq!((now.version, now.state()), (filed.version, State::Filed));
    assert_eq!(names(&folders.out).len(), 2);
    bridge.stop().await;
}

#[tokio::test]
async fn a_list_left_in_the_folder_files_and_leaves_its_sheet_and_the_call_does_the_same() {
    let (stage, folders, _held) = stage("reconciled");
    let bridge = Bridge::start(&stage).await;
    let person = bridge.client.person(1, ENDPOINT).await;
    let (one, two) = (bridge.client.write(&person, "First.").await, bridge.client.write(&person, "Second.").await);
    for note in [&one, &two] {
        bridge.client.until_state(note.id(), State::Accepted).await;
    }
    let first = document_id(&bridge.client.delivery(one.id()).await);
    let today = SystemClock.now().to_zoned(jiff::tz::TimeZone::get("Europe/London").expect("a zone")).date();
    let name = format!("held-{today}.csv");
    fs::write(folders.lists.join(&name), format!("document_id,record_id\n{first},R-1\n")).expect("written");
    let filed = bridge.client.filed(one.id()).await;
    assert_eq!(filed.record_id, "R-1");
    until("the list is put away", || folders.lists.join("done").join(&name).exists()).await;
    let sheet = fs::read_to_string(folders.lists.join(format!("done/{name}.sheet.txt"))).expect("the sheet");
    assert!(sheet.contains("2  written that day") && sheet.contains("1  MISSING"), "{sheet}");
    assert!(sheet.contains("1 to be explained. The numbers add up."), "{sheet}");
    assert!(sheet.contains(&format!("List: {name}, 1 rows")) && sheet.contains(&format!("Made: {today}")), "{sheet}");

    let second = document_id(&bridge.client.delivery(two.id()).await);
    let listed = |id: &str| v1::ListedDocument { document_id: format!("{id}^IPS"), ..v1::ListedDocument::default() };
    let request = v1::ReconcileDocumentsRequest {
        request_id: crate::e2e_support::request_id(),
        endpoint_id: ENDPOINT.into(),
        documents: vec![listed(&first), listed(&second)],
        day: today.to_string(),
        source: "extract of the night".into(),
        dry_run: false,
    };
    let told = bridge.client.deliveries().reconcile_documents(request.clone()).await.expect("answered").into_inner();
    assert_eq!((told.written, told.in_record, told.newly_filed, told.unexplained), (2, 2, 1, 0));
    assert!(told.adds_up && told.sheet.contains("None unexplained. The numbers add up."), "{}", told.sheet);
    let again = bridge.client.deliveries().reconcile_documents(request).await.expect("answered").into_inner();
    let but_for_its_time = |answer: v1::ReconcileDocumentsResponse| {
        let lines = answer.sheet.lines().filter(|line| !line.starts_with("Made: "));
        v1::ReconcileDocumentsResponse { sheet: lines.collect(), ..answer }
    };
    assert_eq!(but_for_its_time(again), but_for_its_time(told), "the same call again is answered as it was");
    bridge.client.filed(two.id()).await;

    fs::write(folders.lists.join("damaged.csv"), b"id\nx\n").expect("written");
    until("a damaged list is put aside", || folders.lists.join("unread/damaged.csv").exists()).await;
    bridge.stop().await;
}
