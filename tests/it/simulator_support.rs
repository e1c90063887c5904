//! A pretend EPR, messages for it, and a pool that sends them as the bridge would.

use std::sync::Arc;
use std::time::Duration;

use ips_bridge::adapter::hl7::{AckCode, Envelope, Reply};
use ips_bridge::simulator::record::{LocalId, Patient};
use ips_bridge::simulator::{Faults, Now, Settings, Simulator};
use ips_bridge::transport::mllp::{ClientSettings, Pool};
use ips_bridge::transport::{Exchange, Sent, Stray, Unsure};
use tokio::sync::mpsc;

use crate::transport_support::{PATIENCE, pool};

/// Longer than anything on loopback takes, short enough to wait for in vain.
pub const SHORT: Duration = Duration::from_millis(400);

pub fn clock() -> Now {
    Arc::new(|| "2026-03-02T10:15:31Z".parse().unwrap())
}

pub async fn epr(change: impl FnOnce(&mut Settings)) -> Simulator {
    let mut settings = Settings::new(clock());
    change(&mut settings);
    Simulator::start(settings).await.unwrap()
}

pub async fn epr_with(faults: &[&str]) -> Simulator {
    let faults = Faults::parse(faults, 1).unwrap();
    epr(|s| s.faults = faults).await
}

/// A pool to it that waits as long as a test may.
pub fn bridge(simulator: &Simulator) -> (Pool, mpsc::Receiver<Stray>) {
    pool(waiting_long(simulator))
}

/// A pool to it that soon gives up waiting.
pub fn hasty_bridge(simulator: &Simulator) -> (Pool, mpsc::Receiver<Stray>) {
    pool(ClientSettings { reply_timeout: SHORT, ..waiting_long(simulator) })
}

fn waiting_long(simulator: &Simulator) -> ClientSettings {
    ClientSettings { reply_timeout: PATIENCE, ..ClientSettings::new(simulator.addr().to_string()) }
}

/// Sends a message; its reply is the one whose MSA-2 is its MSH-10.
pub async fn send(pool: &Pool, message: &[u8]) -> Exchange {
    let id = Envelope::peek(message).unwrap().control_id().into_owned();
    let matches = |frame: &[u8]| Reply::read(frame).is_ok_and(|r| r.control_id == id);
    tokio::time::timeout(PATIENCE, pool.send(message, &matches)).await.expect("a send ends")
}

pub async fn reply(pool: &Pool, message: &[u8]) -> Reply {
    match send(pool, message).await.sent {
        Sent::Reply(bytes) => Reply::read(&bytes).unwrap(),
        other => panic!("no reply: {other:?}"),
    }
}

pub async fn code(pool: &Pool, message: &[u8]) -> AckCode {
    reply(pool, message).await.code
}

pub async fn unsure(pool: &Pool, message: &[u8]) -> Unsure {
    match send(pool, message).await.sent {
        Sent::Unsure(why) => why,
        other => panic!("not unsure: {other:?}"),
    }
}

/// MDM^T02 with a document `D<n>`, sent as `C<n>`.
pub fn note(n: u32) -> Vec<u8> {
    message(n, "|||||")
}

/// The same, asking for an accept and an application acknowledgement.
pub fn enhanced_note(n: u32) -> Vec<u8> {
    message(n, "|||AL|AL|")
}

fn message(n: u32, asks: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|IPSBRIDGE|RZ9|EPR|RZ9|20260302101530||MDM^T02^MDM_T02|C{n}|T|2.4{asks}|UNICODE UTF-8\r\
         EVN||20260302101530\rPID|1||4471920^^^RZ9^MR~9990000018^^^NHS^NH||TESTPATIENT^SAM||19850412|M\rPV1|1|O\r\
         TXA|1|PN|TX|20260302093000|ES1^Grace Okafor^^^^^^^RZ9|20260302101500||||||D{n}^IPS|||||AU|U|AV\r\
         OBX|1|FT|371532007^Progress report^SCT||Met Sam at the job centre. Note {n}.||||||F\r"
    )
    .into_bytes()
}

pub fn sam() -> Patient {
    Patient {
        nhs_number: Some("9990000018".into()),
        mrn: Some(LocalId { value: "4471920".into(), authority: "RZ9".into() }),
        family: "TESTPATIENT".into(),
        given: "SAM".into(),
        date_of_birth: Some(jiff::civil::date(1985, 4, 12)),
        gender: Some("M".into()),
        address: None,
    }
}
