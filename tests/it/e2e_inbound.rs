//! What comes in over a listener, from the socket to the record.

use crate::e2e_support::{Bridge, Stage, TRUST, details, endpoint, nobody};
use ips_bridge::wire::v1;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the bridge answers to one message over a connection of its own.
async fn answer(listen: SocketAddr, message: &str) -> String {
    let mut socket = TcpStream::connect(listen).await.expect("the bridge listens");
    socket.write_all(format!("\x0b{message}\x1c\r").as_bytes()).await.expect("sent");
    let mut heard = Vec::new();
    while !heard.ends_with(b"\x1c\r") {
        let mut more = [0; 4096];
        match socket.read(&mut more).await.expect("an answer") {
            0 => break,
            n => heard.extend_from_slice(&more[..n]),
        }
    }
    String::from_utf8(heard).expect("UTF-8")
}

/// The new telephone number of the first test person, and something behind it.
fn moved(id: &str, phone: &str, behind: &str) -> String {
    let details = details(0);
    let name = details.name.expect("a name");
    format!(
        "MSH|^~\\&|EPR|{TRUST}|IPSBRIDGE|{TRUST}|20260302101530||ADT^A31|{id}|T|2.4\rEVN||20260302101530\r\
         PID|1||{}^^^NHS^NH||{}^{}^^^^^L||{}||||||{phone}^PRN^PH\r{behind}",
        details.nhs_number.expect("a number"),
        name.family,
        name.given,
        details.date_of_birth.replace('-', ""),
    )
}

/// However much it looks like a whole message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_frame_that_is_too_large_nothing_is_taken_and_its_beginning_is_shown() {
    let listen = nobody();
    let own = format!("[listen]\naddress = \"{listen}\"\nmax_frame_bytes = 65536");
    let stage = Stage::sqlite([endpoint("epr", nobody(), &own)]);
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    let person = client.person(0, "epr").await;
    let phone = || async {
        let request = v1::GetPatientRequest { patient_id: person.patient_id.clone() };
        let patient = client.patients().get_patient(request).await.expect("read").into_inner().patient;
        patient.expect("the patient").details.expect("details").phone
    };
    let long = format!("NTE|1|L|{}\r", "x".repeat(70_000));
    let refused = answer(listen, &moved("M1", "07700 900461", &long)).await;
    assert!(refused.contains("MSA|AR|M1") && !refused.contains("900461"), "{refused}");
    assert_ne!(phone().await.as_deref(), Some("07700 900461"));
    let list = client.inbound().list_inbound_messages(v1::ListInboundMessagesRequest::default()).await;
    let messages = list.expect("listed").into_inner().messages;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].state(), v1::InboundState::Parked);
    // The same as a message that is not too large is taken.
    let taken = answer(listen, &moved("M2", "07700 900462", "")).await;
    assert!(taken.contains("MSA|AA|M2"), "{taken}");
    assert_eq!(phone().await.as_deref(), Some("07700 900462"));
    bridge.stop().await;
}
