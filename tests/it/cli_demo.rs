//! `demo`, as `make demo` runs it.

use crate::support::binary::{Ended, ips_bridge, signal};
use crate::support::temp_dir;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

/// The ids of the processes it says it started.
fn processes(out: &str) -> Vec<u32> {
    let after = |word: &str| {
        out.split(word).skip(1).filter_map(|rest| rest.split([',', ' ']).next()?.parse().ok()).collect::<Vec<u32>>()
    };
    after("process ")
}

fn runs(id: u32) -> bool {
    Path::new("/proc").join(id.to_string()).join("cmdline").exists()
}

#[test]
fn the_demonstration_observes_everything_it_claims_and_leaves_nothing_behind() {
    let folder = temp_dir();
    let output = ips_bridge(&["demo"]).env("TMPDIR", folder.path()).output().expect("our binary starts");
    let ended = Ended::of(output).exits(0);
    for claim in [
        "✓ the bridge answers AA: the referral is stored",
        "✓ the EPR holds one answer to its referral: accepted",
        "✓ the EPR holds exactly this text, once",
        "✓ the EPR holds the new text, once, in the old one's place",
        "✓ the EPR has taken the document back: Written in error",
        "✓ the EPR has received nothing and holds nothing of it",
        "✓ the EPR holds it as a document a clinician can read",
        "The clinical record: 1 patient, 4 documents (2 current); no document is held twice.",
        "✓ the note waits, and its author reads: \"Waiting to be sent to the pretend EPR",
        "ended by SIGKILL",
        "✓ the bridge is back as process",
        "✓ the EPR holds 1 copy of it, from 1 message",
        "✓ with exactly the text that was written",
    ] {
        assert!(ended.out.contains(claim), "not said: {claim}\n{}", ended.out);
    }
    for message in ["> MSH|^~\\&|IPSBRIDGE|RZ9|EPR|RZ9|", "RRI^I12", "MDM^T02", "MDM^T10", "MDM^T11", "< MSA|AA|DEMO"] {
        assert!(ended.out.contains(message), "not shown: {message}");
    }
    assert!(!ended.out.contains("✗"), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "colour where nobody sees it");

    let processes = processes(&ended.out);
    assert!(processes.len() >= 3, "{processes:?}");
    assert_eq!(processes.iter().filter(|id| runs(**id)).count(), 0, "a bridge is still running: {processes:?}");
    let left = std::fs::read_dir(folder.path()).expect("the test's own folder").count();
    assert_eq!(left, 0, "something was left in the temporary folder");
}

#[test]
fn it_stays_until_it_is_told_to_stop_and_can_be_asked_meanwhile() {
    let folder = temp_dir();
    let mut demo = ips_bridge(&["demo", "--stay"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("our binary starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines().map(|l| l.expect("UTF-8"));
    let first = lines.next().expect("a first line");
    let said: Vec<String> = lines.by_ref().take_while(|l| !l.contains("sees from now on")).collect();
    let server = said.iter().find_map(|l| l.split_once("status --server ")).map(|(_, url)| url.to_owned());
    let server = server.unwrap_or_else(|| panic!("no address is given:\n{}", said.join("\n")));

    let ask =
        |args: &[&str]| Ended::of(ips_bridge(args).args(["--server", &server]).output().expect("our binary starts"));
    let status = ask(&["status", "--json"]).exits(0).json();
    assert_eq!(status["endpoints"][0]["status"]["filed_last_day"], 7);
    assert_eq!(status["endpoints"][0]["unexplained"].as_array().map(Vec::len), Some(0));
    let list = ask(&["outbox", "list", "--all", "--json"]).exits(0).json();
    assert_eq!(list["deliveries"].as_array().map(Vec::len), Some(8));

    signal(demo.id(), "INT");
    assert_eq!(demo.wait().expect("it ends").code(), Some(0));
    for id in processes(&format!("{first}\n{}", said.join("\n"))) {
        assert!(!runs(id), "process {id} is still running");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the test's own folder").count(), 0);
}

#[test]
fn an_interrupted_demonstration_leaves_nothing_behind_and_says_so() {
    let folder = temp_dir();
    let mut demo = ips_bridge(&["demo"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("our binary starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let first = lines.next().expect("a first line");
    signal(demo.id(), "TERM");
    // Read to the end, so that it never waits for us.
    let rest: Vec<String> = lines.collect();
    let ended = Ended::of(demo.wait_with_output().expect("it ends")).exits(1);
    assert!(ended.err.contains("stopped before the end"), "{}", ended.err);
    for id in processes(&format!("{first}\n{}", rest.join("\n"))) {
        assert!(!runs(id), "process {id} is still running");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the test's own folder").count(), 0);
}
