//! HL7 clients and servers of other ecosystems, at both of our ends.

use crate::e2e_support::{Bridge, Stage, TRUST, endpoint, shown};
use crate::support::{Peer, free_addr, temp_dir, wait_until};
use ips_bridge::wire::v1;
use std::path::Path;
use std::time::Duration;
use v1::DeliveryState as State;

const TEXT: &str = "Cwrddais â Siân yn y caffi | 50% & \"CV\" ^ ~ \\ 😀 ŵ\nNext: Friday’s interview.";
/// In the message: escaped, and nothing else changed.
const ON_THE_WIRE: &str =
    "Cwrddais â Siân yn y caffi \\F\\ 50% \\T\\ \"CV\" \\S\\ \\R\\ \\E\\ 😀 ŵ\\.br\\Next: Friday’s interview.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interop_servers_of_other_ecosystems_acknowledge_what_we_send_and_read_it_as_it_was_written() {
    for peer in Peer::ALL {
        let address = free_addr();
        let server = peer.listen(address).await;
        let stage = Stage::sqlite([endpoint("epr", address, "")]);
        let bridge = Bridge::start(&stage).await;
        let person = bridge.client.person(0, "epr").await;
        let first = bridge.client.write(&person, TEXT).await;
        let filed = bridge.client.filed(first.id()).await;
        assert_eq!((filed.state(), filed.attempts), (State::Filed, 1), "{peer:?}: {}", shown(&filed));
        // A connection that is kept serves the next one too, whatever this server does with it meanwhile.
        let second = bridge.client.replace(&first, &person, "Said otherwise.").await;
        bridge.client.filed(second.id()).await;
        let heard = server.heard(2).await;
        let texts = |n: usize| heard[n]["texts"].as_array().cloned().unwrap_or_default();
        assert!(texts(0).iter().any(|t| t == ON_THE_WIRE), "{peer:?}: {:?}", texts(0));
        assert!(texts(1).iter().any(|t| t == "Said otherwise."), "{peer:?}");
        let sent = bridge.client.attempts(first.id()).await;
        assert_eq!(heard[0]["control_id"], sent[0].control_id.as_str(), "{peer:?}");
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interop_clients_of_other_ecosystems_are_answered_by_our_listener_and_a_repeat_is_taken_once() {
    let folder = temp_dir();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk/examples/parse-ref/message.hl7");
    let example = std::fs::read_to_string(example).expect("an example");
    let listen = free_addr();
    let own = format!("[listen]\naddress = \"{listen}\"\ndefault_team = \"epr\"");
    let stage = Stage::sqlite([endpoint("epr", crate::e2e_support::nobody(), &own)]);
    let bridge = Bridge::start(&stage).await;
    let control_id = example.split('|').nth(9).expect("MSH-10").to_owned();
    for (n, peer) in Peer::ALL.into_iter().enumerate() {
        let id = format!("{n}{control_id}");
        let message = example.replacen(&control_id, &id, 1).replace("REF-88213", &format!("REF-{n}"));
        let file = folder.path().join(format!("{n}.hl7"));
        std::fs::write(&file, message).expect("written");
        for _ in 0..2 {
            let said = tokio::task::block_in_place(|| peer.send(listen, &file));
            assert_eq!((said["code"].as_str(), said["answers"].as_str()), (Some("AA"), Some(id.as_str())), "{peer:?}");
        }
    }
    wait_until(Duration::from_secs(10), "each referral is there once", async || {
        let request = v1::ListReferralsRequest { trust_ods: TRUST.into(), ..Default::default() };
        let list = bridge.client.referrals().list_referrals(request).await.expect("listed").into_inner();
        list.referrals.len() == Peer::ALL.len()
    })
    .await;
    bridge.stop().await;
}
