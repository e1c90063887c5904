//! `serve` as a process: whoever reads what it says, and whatever it finds at its start.

use crate::cli_operate::{Epr, referral, write};
use crate::store::raw;
use crate::support::binary::{Serving, run, signal};
use crate::support::{free_addr, temp_dir, wait_until};
use ips_bridge::wire::v1::GetEndpointStatusRequest;
use ips_bridge::wire::v1::delivery_service_client::DeliveryServiceClient;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

/// For an end that does not hang on anybody.
const SOON: Duration = Duration::from_secs(15);

async fn ends(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until(SOON, "the process to end", async || {
        status = child.try_wait().expect("a child of ours");
        status.is_some()
    })
    .await;
    status.expect("it was waited for")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_pipe_that_nobody_empties_holds_up_neither_calls_nor_the_end() {
    let mut bridge = Serving::start_as(free_addr(), |command| {
        command.stderr(Stdio::piped()).env("RUST_LOG", "trace");
    })
    .await;
    let channel = tonic::transport::Endpoint::from_shared(bridge.url()).unwrap().connect().await.unwrap();
    // Far more lines than a pipe holds.
    for _ in 0..20 {
        let calls = (0..100).map(|_| {
            let mut client = DeliveryServiceClient::new(channel.clone());
            async move { client.get_endpoint_status(GetEndpointStatusRequest::default()).await }
        });
        let answers =
            tokio::time::timeout(SOON, futures::future::join_all(calls)).await.expect("nobody waits for the log");
        assert!(answers.iter().all(Result::is_ok));
    }
    signal(bridge.child().id(), "TERM");
    assert!(ends(bridge.child()).await.success());
    let mut log = Vec::new();
    bridge.child().stderr.take().expect("piped").read_to_end(&mut log).expect("what the pipe held");
    assert!(log.len() >= 60_000, "the pipe was full: {}", log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_somebody_reads_what_is_printed_changes_nothing_of_how_a_bridge_stops() {
    let address = free_addr();
    let mut bridge = Serving::start_as(address, |command| {
        command.stdout(Stdio::piped());
    })
    .await;
    let mut lines = BufReader::new(bridge.child().stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("UTF-8") == "ready"), "everything that is printed arrives");
    drop(lines);
    let inbound = bridge.inbound.to_string();
    let _epr =
        Epr::start(&address.to_string(), &["--bridge", &inbound, "--send-referral", "--fault", "delay:2s@MDM^T02"]);
    write(&bridge, &referral(&bridge).await).await;
    wait_until(SOON, "the note to be on its way", async || state(&bridge).await == "SENDING").await;
    signal(bridge.child().id(), "TERM");
    assert_eq!(ends(bridge.child()).await.code(), Some(0));
    assert_eq!(state(&bridge).await, "FILED", "what is on its way is finished first");
    let log = std::fs::read_to_string(bridge.config().with_file_name("log")).expect("its log");
    assert!(log.contains("outbox worker stopped"), "the last lines of the log are written: {log}");
}

/// Of the one delivery there is.
async fn state(bridge: &Serving) -> String {
    raw::texts(&bridge.store(), "SELECT state FROM delivery").await.concat()
}

#[test]
fn a_start_that_may_go_well_later_ends_with_1_and_one_that_somebody_has_to_mend_with_2() {
    let folder = temp_dir();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let config = |name: &str, listen: &str, store: &str| {
        let file = folder.path().join(name);
        let text = format!(
            "[server]\nlisten = \"{listen}\"\ndevelopment_principal = true\n[store]\nurl = \"sqlite://{store}\"\n[packs]\nfolder = \"{}/adapters\"\n",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::write(&file, text).expect("the test's own folder");
        file.display().to_string()
    };
    let record = folder.path().join("record.db").display().to_string();
    let in_use = config("in_use.toml", &taken.local_addr().expect("an address").to_string(), &record);
    run(&["serve", "--config", &in_use]).exits(1);
    // A folder stands where the record should; and a file where its folder should.
    let occupied = folder.path().join("occupied.db");
    std::fs::create_dir(&occupied).expect("the test's own folder");
    for store in [occupied.display().to_string(), format!("{in_use}/record.db")] {
        run(&["serve", "--config", &config("wrong.toml", "127.0.0.1:0", &store)]).exits(2);
    }
    // As many files as a process may have open are open before the record is: somebody closes some, and it starts.
    let fine = config("fine.toml", "127.0.0.1:0", &record);
    let script = format!("ulimit -n 12; exec {} serve --config {fine}", env!("CARGO_BIN_EXE_ips-bridge"));
    let few = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh");
    assert_eq!(few.status.code(), Some(1), "{}", String::from_utf8_lossy(&few.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_refuses_new_notes_tells_whoever_checks() {
    let bridge = Serving::start_as(free_addr(), |command| {
        // Nearly a petabyte.
        command.env("IPS_BRIDGE__LIMITS__MIN_FREE_DISK_BYTES", "999999999999999");
    })
    .await;
    wait_until(SOON, "the disk to be looked at", async || bridge.run(&["status", "--check"]).code == 1).await;
    let status = bridge.run(&["status"]).exits(0);
    assert!(status.out.contains("the bridge: new notes are refused: the store's disk"), "{}", status.out);
    let json = bridge.run(&["status", "--json"]).exits(0).json();
    assert_eq!(json["bridge_troubles"].as_array().map(Vec::len), Some(1), "{json}");
    bridge.stop();
}

#[cfg(target_os = "linux")]
mod too_many {
    use super::*;

    fn open_files(id: u32) -> usize {
        std::fs::read_dir(format!("/proc/{id}/fd")).expect("a process of ours").count()
    }

    /// Of the processor, in hundredths of a second.
    fn used(id: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a process of ours");
        let (_, after_name) = stat.rsplit_once(')').expect("its name stands in brackets");
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn open_files_make_a_bridge_rest_not_spin_and_it_goes_on_when_some_are_closed() {
        let mut bridge = Serving::start(free_addr()).await;
        let id = bridge.child().id();
        // More than the record itself opens later on.
        let most = open_files(id) + 40;
        let limited = std::process::Command::new("prlimit")
            .args(["--pid", &id.to_string(), &format!("--nofile={most}:{most}")])
            .status();
        assert!(limited.is_ok_and(|s| s.success()), "prlimit is part of util-linux");
        let held: Vec<_> = (0..80).map(|_| std::net::TcpStream::connect(bridge.grpc).expect("connected")).collect();
        wait_until(SOON, "as many files as may be open", async || open_files(id) >= most).await;
        let before = used(id);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let took = used(id) - before;
        assert!(took < 50, "{took} hundredths of a second in one");
        drop(held);
        bridge.run(&["endpoint", "list"]).exits(0);
        let log = std::fs::read_to_string(bridge.config().with_file_name("log")).expect("its log");
        assert_eq!(log.matches("could not be accepted").count(), 1, "{log}");
        bridge.stop();
    }
}
