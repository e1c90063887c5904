//! `outbox`, `endpoint` and `status` against a bridge that runs, and `simulate-epr` at its other end.

use crate::support::binary::{Ended, Serving, ips_bridge, signal};
use crate::support::{free_addr, wait_until};
use ips_bridge::app::{SystemClock, SystemEntropy};
use ips_bridge::domain::ambient::Clock;
use ips_bridge::domain::ids::new_uuid;
use ips_bridge::wire::v1::progress_note_service_client::ProgressNoteServiceClient;
use ips_bridge::wire::v1::referral_service_client::ReferralServiceClient;
use ips_bridge::wire::v1::{
    Attendance, Author, Contact, ContactMechanism, ContactMode, ExpectedPatient, JobSearch, ListReferralsRequest,
    NoteContent, WriteProgressNoteRequest, note_content::Kind,
};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

/// `simulate-epr` as a process. Killed when dropped.
pub struct Epr {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Epr {
    /// Waits until it says where it listens.
    pub fn start(listen: &str, more: &[&str]) -> Self {
        let mut child = ips_bridge(&["simulate-epr", "--listen", listen, "--json"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("our binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("UTF-8");
        assert!(first.contains(listen), "{first}");
        Self { child, lines }
    }

    /// Ctrl-C; everything it said, and its exit code.
    pub fn stop(mut self) -> (String, Option<i32>) {
        signal(self.child.id(), "INT");
        let said: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        (said.join("\n"), self.child.wait().expect("it ends").code())
    }
}

impl Drop for Epr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The canary: it must not be in anything an operator's commands print unless they ask for bytes or an export.
const TEXT: &str = "CANARYTEXT rang two shops";

/// The referral's id, once the EPR has sent it.
pub async fn referral(bridge: &Serving) -> String {
    let mut client = ReferralServiceClient::connect(bridge.url()).await.expect("it answers");
    let mut id = String::new();
    wait_until(Duration::from_secs(10), "the referral", async || {
        let list = client.list_referrals(ListReferralsRequest::default()).await.expect("an answer").into_inner();
        list.referrals.into_iter().next().map(|r| id = r.id).is_some()
    })
    .await;
    id
}

/// Writes a note; its delivery's id.
pub async fn write(bridge: &Serving, referral_id: &str) -> String {
    let contact = Contact {
        mechanism: ContactMechanism::Telephone.into(),
        attendance: Attendance::AttendedOnTime.into(),
        mode: ContactMode::Individual.into(),
        duration_minutes: Some(15),
        ..Contact::default()
    };
    let content = NoteContent {
        occurred_at: Some(SystemClock.now().into()),
        text: TEXT.into(),
        contact: Some(contact),
        kind: Some(Kind::JobSearch(JobSearch {})),
        ..NoteContent::default()
    };
    let author = Author {
        staff_id: "ES1".into(),
        display_name: "Grace Okafor".into(),
        role_title: "Employment Specialist".into(),
        organisation_ods: "A8XX".into(),
    };
    let expected = ExpectedPatient {
        nhs_number: "9990000018".into(),
        date_of_birth: "1985-04-12".into(),
        family_name: "Testpatient".into(),
    };
    let request = WriteProgressNoteRequest {
        request_id: new_uuid(SystemClock.now(), &SystemEntropy).to_string(),
        referral_id: referral_id.into(),
        expected_patient: Some(expected),
        author: Some(author),
        content: Some(content),
        release_after: None,
    };
    let mut client = ProgressNoteServiceClient::connect(bridge.url()).await.expect("it answers");
    let answer = client.write_progress_note(request).await.expect("it is accepted").into_inner();
    answer.deliveries.first().expect("a delivery").id.clone()
}

pub async fn until(bridge: &Serving, id: &str, state: &str) {
    wait_until(Duration::from_secs(15), state, async || {
        let shown = bridge.run(&["outbox", "show", id, "--json"]).exits(0).json();
        shown["delivery"]["state"] == format!("DELIVERY_STATE_{state}")
    })
    .await;
}

/// Without --yes and without a terminal nothing is done; with it, it is.
fn only_with_yes(bridge: &Serving, args: &[&str]) -> Ended {
    let asked = bridge.run(args).exits(2);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    bridge.run(&[args, &["--yes"]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_deliveries_are_found_tried_again_and_given_up() {
    let address = free_addr();
    let bridge = Serving::start(address).await;
    let inbound = bridge.inbound.to_string();
    let refuse = ["--bridge", &*inbound, "--send-referral", "--fault", "refuse:AE:101@MDM^T02#2"];
    let epr = Epr::start(&address.to_string(), &refuse);
    let referral = referral(&bridge).await;
    let (first, second) = (write(&bridge, &referral).await, write(&bridge, &referral).await);
    until(&bridge, &first, "PARKED").await;
    until(&bridge, &second, "PARKED").await;

    let list = bridge.run(&["outbox", "list", "--state", "parked", "--reason", "refused"]).exits(0);
    assert!(list.out.contains(&first) && list.out.contains("PARKED: REFUSED"), "{}", list.out);
    let status = bridge.run(&["status"]).exits(0);
    assert!(status.out.contains("2 REFUSED, for") && status.out.contains("unexplained    none"), "{}", status.out);
    bridge.run(&["status", "--check"]).exits(1);

    let bulk = ["outbox", "retry", "--endpoint", "rz9-epr", "--reason", "refused", "--because", "RiO mended"];
    let dry = bridge.run(&[&bulk[..], &["--dry-run", "--json"]].concat()).exits(0).json();
    assert_eq!((&dry["matched"], &dry["done_count"]), (&2.into(), &2.into()));
    until(&bridge, &first, "PARKED").await;
    let cancel = ["outbox", "cancel", &*second, "--because", "entered by hand"];
    let would = bridge.run(&[&cancel[..], &["--dry-run"]].concat()).exits(0);
    assert!(would.out.contains("would cancel 1 delivery"), "{}", would.out);
    until(&bridge, &second, "PARKED").await;
    let cancelled = only_with_yes(&bridge, &cancel).exits(0);
    assert!(cancelled.out.contains("now CANCELLED"), "{}", cancelled.out);
    bridge.run(&[&cancel[..], &["--yes", "--json"]].concat()).exits(1);
    // What it would refuse, a dry run says as the real one does, with its exit code.
    let would_not = bridge.run(&[&cancel[..], &["--dry-run"]].concat()).exits(1);
    for said in ["would cancel 0 deliveries", "would not be cancelled: the delivery is CANCELLED", "WRONG_STATE"] {
        assert!(would_not.out.contains(said), "{said} is not in\n{}", would_not.out);
    }
    let as_json = bridge.run(&[&cancel[..], &["--dry-run", "--json"]].concat()).exits(1).json();
    assert_eq!((as_json["matched"].as_u64(), as_json["refused"][0]["id"].as_str()), (Some(1), Some(&*second)));
    // One that is not there stops no other, named twice is once, and what is no id at all stops everything before anything is done.
    let unknown = "01JNBRZC5M8Q4T7V9XA2E3F4G1";
    let otherwise = first.to_lowercase();
    let some = ["outbox", "rerender", unknown, &*first, &*otherwise, "--because", "looked"];
    let told = bridge.run(&[&some[..], &["--dry-run", "--json"]].concat()).exits(1).json();
    assert_eq!((&told["matched"], &told["done_count"], &told["done"][0]), (&2.into(), &1.into(), &(&*first).into()));
    assert_eq!((&told["refused"][0]["id"], &told["refused"][0]["reason"]), (&unknown.into(), &"NOT_FOUND".into()));
    let mistyped = bridge.run(&["outbox", "rerender", "O1", &*first, "--because", "looked", "--yes"]).exits(2);
    assert!(mistyped.err.contains("O1: ") && mistyped.err.contains("field   ID: "), "{}", mistyped.err);
    until(&bridge, &first, "PARKED").await;
    let retried = ["outbox", "retry", &*second, &*first, &*first, "--because", "looked", "--dry-run", "--json"];
    let told = bridge.run(&retried).exits(1).json();
    assert_eq!(told["refused"][0]["reason"], "WRONG_STATE");
    let wrong = bridge.run(&["outbox", "park", &*first, "--because", "", "--yes"]).exits(2);
    assert!(wrong.err.contains("field   --because"), "{}", wrong.err);
    assert_eq!(
        (&told["matched"], &told["done"][0], &told["refused"][0]["id"]),
        (&2.into(), &(&*first).into(), &(&*second).into())
    );
    // A list that was cut says so to a script as well.
    let cut = bridge.run(&["outbox", "list", "--all", "--limit", "1", "--json"]).exits(0).json();
    assert!(cut["deliveries"].as_array().is_some_and(|d| d.len() == 1) && cut["next_page_token"] != "", "{cut}");
    // Where there is nothing to do nobody is asked; nothing at all is not a list.
    let nothing = ["outbox", "retry", "--endpoint", "rz9-epr", "--reason", "outcome-unknown", "--because", "x"];
    assert!(bridge.run(&nothing).exits(0).out.contains("0 matched"));
    bridge.run(&["outbox", "list", "--limit", "0"]).exits(2);
    only_with_yes(&bridge, &bulk).exits(0);
    until(&bridge, &first, "FILED").await;
    bridge.run(&["status", "--check"]).exits(0);

    let shown = bridge.run(&["outbox", "show", &first]).exits(0);
    assert!(shown.out.contains("AE") && !shown.out.contains("CANARYTEXT"), "{}", shown.out);
    let whole = bridge.run(&["outbox", "show", &first, "--bytes"]).exits(0);
    assert!(whole.out.contains("> MSH|") && whole.out.contains("CANARYTEXT"), "{}", whole.out);
    let unknown = bridge.run(&["outbox", "show", "01JNBRZC5M8Q4T7V9XA2E3F4G1"]).exits(1);
    assert!(unknown.err.contains("reason  NOT_FOUND") && unknown.err.contains("do      "), "{}", unknown.err);

    let (said, code) = epr.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("[fault: refuse:AE:101]") && said.contains("\"duplicates\": []"), "{said}");
    assert_eq!(bridge.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_endpoint_keeps_everything_and_its_backlog_can_be_printed() {
    let address = free_addr();
    let bridge = Serving::start(address).await;
    let inbound = bridge.inbound.to_string();
    let epr = Epr::start(&address.to_string(), &["--bridge", &inbound, "--send-referral", "1"]);
    let referral = referral(&bridge).await;
    let paused = only_with_yes(&bridge, &["endpoint", "pause", "rz9-epr", "--because", "RiO upgrade"]).exits(0);
    assert!(paused.out.contains("paused by development: RiO upgrade"), "{}", paused.out);
    let id = write(&bridge, &referral).await;
    let twice = bridge.run(&["endpoint", "pause", "rz9-epr", "--because", "another reason", "--yes"]).exits(1);
    assert!(twice.err.contains("paused already, by"), "{}", twice.err);
    // An endpoint that config forgot while something is to go there: said before a start is refused for it.
    let text = std::fs::read_to_string(bridge.config()).expect("the configuration");
    let renamed = bridge.config().with_file_name("renamed.toml");
    std::fs::write(&renamed, text.replace("rz9-epr", "rz9-new")).expect("written");
    let refused = bridge.run(&["check-config", &renamed.display().to_string(), "--connect"]).exits(2);
    assert!(refused.out.contains("endpoint rz9-epr has open deliveries"), "{}", refused.out);
    // Paused and something waits: whoever forgot it is told.
    bridge.run(&["status", "--check"]).exits(1);
    let list = bridge.run(&["outbox", "list"]).exits(0);
    assert!(list.out.contains(&id) && list.out.contains("QUEUED") && !list.out.contains("CANARYTEXT"), "{}", list.out);
    let backlog = bridge.run(&["outbox", "export", "--endpoint", "rz9-epr", "--because", "RiO away"]).exits(0);
    assert!(backlog.out.contains("CANARYTEXT"), "{}", backlog.out);
    let parked = only_with_yes(&bridge, &["outbox", "park", &id, "--because", "look first"]).exits(0);
    assert!(parked.out.contains("PARKED: BY_PERSON"), "{}", parked.out);
    let anew = only_with_yes(&bridge, &["outbox", "rerender", &id, "--because", "looked"]).exits(0);
    assert!(anew.out.contains("QUEUED"), "{}", anew.out);
    bridge
        .run(&["outbox", "backfill", "--endpoint", "rz9-epr", "--from", "2026-01-01", "--because", "new", "--dry-run"])
        .exits(0);
    let resumed = bridge.run(&["endpoint", "resume", "rz9-epr", "--because", "done", "--json"]).exits(0).json();
    assert_eq!(resumed["paused"], false);
    until(&bridge, &id, "FILED").await;
    assert_eq!(epr.stop().1, Some(0));

    // A second bridge on the same store and ports is refused, and says everything it would need.
    let second = bridge.run(&["serve", "--config", &bridge.config().display().to_string()]).exits(1);
    assert!(second.err.contains("another bridge is running"), "{}", second.err);
    assert!(second.out.contains("DEVELOPMENT PRINCIPAL"), "{}", second.out);
    assert_eq!(bridge.stop(), Some(0));
}
