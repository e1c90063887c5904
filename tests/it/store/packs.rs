//! Which pack an endpoint works with: one change after the other, and who comes second is told by whom it was overtaken.

use super::*;
use ips_bridge::store::record::{PackKept, Raw};
use ips_bridge::store::write::{ChangePack, PackChange};
use ips_bridge::store::{Refusal, WriteError};

fn change(bridge: &Bridge, seen: i64, version: &str) -> ChangePack {
    let trust = bridge.store.rules().policies[&epr()].trust.clone();
    let fingerprint = format!("print-{version}");
    ChangePack {
        call: Some(call(&trust)),
        trust,
        endpoint: epr(),
        seen,
        change: PackChange::Activate(Raw(version.as_bytes().to_vec())),
        to: PackKept { id: "tiny".into(), version: version.into(), fingerprint: fingerprint.clone() },
        folder: fingerprint,
        reason: "change 4711".into(),
        told: serde_json::Value::Null,
    }
}

#[tokio::test]
async fn who_activates_second_is_told_which_pack_works_and_what_to_do() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        bridge.store.change_pack(change(&bridge, 0, "0.2.0")).await.unwrap();
        let second = bridge.store.change_pack(change(&bridge, 0, "0.3.0")).await.unwrap_err();
        assert!(matches!(&second, WriteError::Refused(Refusal::PackChanged { seen: 0, now: 1, .. })), "{second}");
        let said = second.to_string();
        for word in
            ["another pack was activated for rx9-epr", "works with tiny@0.2.0", "activation 0", "repeat the call"]
        {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
        let state = bridge.store.endpoint_states(&[epr()]).await.unwrap().remove(0);
        assert_eq!(state.pack.unwrap().now.version, "0.2.0");
    }
}
