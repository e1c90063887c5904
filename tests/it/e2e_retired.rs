//! What config no longer has: an endpoint, or a trust. Nothing of it waits unseen, and nothing of one trust goes into the record of another.

use crate::e2e_support::{Bridge, Stage, endpoint, epr, nobody, request_id, shown};
use ips_bridge::wire::v1;
use v1::DeliveryState as State;
use v1::ParkReason as Reason;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_a_retired_endpoint_waits_for_a_person_and_is_seen() {
    let (old, new) = (epr(|_| {}).await, epr(|_| {}).await);
    let mut stage = Stage::sqlite([endpoint("old", old.addr(), ""), endpoint("new", new.addr(), "")]);
    let bridge = Bridge::start(&stage).await;
    let (person, another) = (bridge.client.person(0, "old").await, bridge.client.person(1, "old").await);
    let filed = bridge.client.write(&person, "Rang a garden centre.").await;
    bridge.client.filed(filed.id()).await;
    bridge.client.pause("old").await;
    let waiting = bridge.client.write(&another, "Rang a bakery.").await;
    bridge.stop().await;

    stage.retire("old");
    let bridge = Bridge::start(&stage).await;
    let client = &bridge.client;
    client.parked(waiting.id(), Reason::EndpointRetired).await;
    let withdrawal = client.withdraw(&filed).await.expect("a delivery");
    assert_eq!(
        (withdrawal.state(), withdrawal.park_reason(), withdrawal.waiting_for()),
        (State::Parked, Reason::EndpointRetired, v1::WaitingFor::Integrator),
        "{}",
        shown(&withdrawal)
    );
    assert!(withdrawal.author_sentence.starts_with("Not yet withdrawn in"), "{}", withdrawal.author_sentence);
    let status = client.endpoint("old").await;
    assert_eq!((status.parked, status.gate()), (2, v1::EndpointGate::Closed));
    assert!(status.closed_because.contains("config does not have this endpoint"), "{}", status.closed_because);
    let request = v1::GetEndpointStatusRequest::default();
    let all = client.deliveries().get_endpoint_status(request).await.expect("answered").into_inner().endpoints;
    assert_eq!(all.iter().map(|e| e.endpoint_id.as_str()).collect::<Vec<_>>(), ["new", "old"]);
    // To put it back to wait there would hide it again.
    let retry = v1::RetryDeliveriesRequest {
        request_id: request_id(),
        selection: Some(v1::DeliverySelection { delivery_ids: vec![withdrawal.id.clone()], ..Default::default() }),
        reason: "try".into(),
        dry_run: false,
        acknowledge_may_be_in_record: true,
    };
    let told = client.deliveries().retry_deliveries(retry).await.expect("answered").into_inner();
    assert_eq!((told.retried, told.not_retried[0].reason()), (0, v1::ErrorReason::WrongState));
    assert!(told.not_retried[0].why.contains("put the endpoint back first"), "{}", told.not_retried[0].why);
    let alarms = bridge.store().alarms();
    assert!(
        alarms.iter().any(|(e, kind, n)| e.as_str() == "old" && *kind == "withdrawal_waits" && *n == 1),
        "{alarms:?}"
    );
    bridge.stop().await;
    old.ask(|r| assert_eq!(r.documents().count(), 1, "nothing more went there"));
    old.shutdown().await;
    new.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trust_with_patients_cannot_vanish_from_config() {
    for stage in [Stage::sqlite, Stage::postgres].map(|stage| stage([endpoint("epr", nobody(), "")])) {
        let mut stage = stage;
        let bridge = Bridge::start(&stage).await;
        let person = bridge.client.person(0, "epr").await;
        let written = bridge.client.write(&person, "Rang a bakery.").await;
        bridge.stop().await;
        stage.call_trust("RZ8");
        let why = stage.does_not_start().await;
        assert!(why.contains("has patients in the record and config does not have it"), "{why}");
        assert!(why.contains("or list it in retired_trusts"), "{why}");

        // Its endpoint is another trust's now, and what is its own never goes there.
        stage.forget_trust();
        let bridge = Bridge::start(&stage).await;
        let delivery = written.id().parse().expect("an id");
        let parked = async || {
            let d = bridge.store().deliveries_by_id(&ips_bridge::store::Scope::system(), &[delivery]).await;
            d.expect("read").remove(0).park.map(|p| p.reason.code())
        };
        for _ in 0..100 {
            if parked().await.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(parked().await, Some("ENDPOINT_RETIRED"));
        bridge.stop().await;
    }
}
