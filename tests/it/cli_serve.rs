//! `serve` as a process: what stops it, and what does not let it start.

use crate::support::binary::{Serving, run};
use crate::support::free_addr;
use ips_bridge::wire::v1::delivery_service_client::DeliveryServiceClient;

/// Whatever starts the tests may ignore it, and a process begins with what its parent ignores.
const HEARS_IT: [&str; 2] = ["env", "--default-signal=HUP"];

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_stops_a_bridge_as_sigterm_does_and_says_that_nothing_is_read_again() {
    let bridge = Serving::start_under(&HEARS_IT, free_addr()).await;
    let (code, log) = bridge.stop_by("HUP");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("SIGHUP") && log.contains("read at its start only"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_was_started_not_to_hear_a_hang_up_goes_on() {
    let bridge = Serving::start_under(&["nohup"], free_addr()).await;
    bridge.send("HUP");
    assert!(DeliveryServiceClient::connect(bridge.url()).await.is_ok());
    let (code, log) = bridge.stop_by("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("SIGHUP"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_bridge_is_refused_also_where_somebody_has_deleted_the_lock_file() {
    let bridge = Serving::start(free_addr()).await;
    let mut lock = bridge.record().into_os_string();
    lock.push(".lock");
    std::fs::remove_file(lock).expect("it is there");
    let config = bridge.config().display().to_string();
    let second = run(&["serve", "--config", &config]).exits(1);
    assert!(second.err.contains("another bridge is running on"), "{}", second.err);
    assert_eq!(bridge.stop(), Some(0));
}
