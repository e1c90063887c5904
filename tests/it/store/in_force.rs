//! Which config is in force: that of the last start, and by no other is anything taken or begun.

use super::bridge::LEASE;
use super::*;
use ips_bridge::store::record::ActiveConfig;
use ips_bridge::store::write::{Begin, Begun, Claim, PutInForce};
use std::sync::Arc;

async fn put(bridge: &Bridge, digest: &str) -> ActiveConfig {
    let trust = bridge.store.rules().policies[&epr()].trust.clone();
    let environment = ips_bridge::domain::policy::Environment::Test;
    let put = PutInForce { trust, endpoint: epr(), digest: digest.into(), environment };
    bridge.store.put_in_force(put).await.unwrap()
}

#[tokio::test]
async fn by_a_config_that_is_no_longer_in_force_nothing_is_taken_and_nothing_begins() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let one = bridge.write(&of, "Met at the library.").await.delivery();
        let claim = |config: &str| Claim { endpoint: epr(), limit: 5, lease: LEASE, config: config.into() };
        // Before any was recorded each bridge may.
        let claimed = bridge.store.claim(claim("mine")).await.unwrap().remove(0);
        assert_eq!(claimed.delivery.id, one);
        assert_eq!(put(&bridge, "mine").await.number, 1);
        assert_eq!(put(&bridge, "another").await.number, 2);
        let begin = |config: &str| Begin { config: Arc::from(config), ..bridge.beginning(&claimed) };
        assert_eq!(bridge.store.begin(begin("mine")).await.unwrap(), Begun::OtherConfig);
        assert_eq!(bridge.delivery(one).await.attempts, 0, "nothing was written of it");
        let of = bridge.episode().await;
        bridge.write(&of, "Met at the library.").await;
        assert!(bridge.store.claim(claim("mine")).await.unwrap().is_empty());
        assert_eq!(bridge.store.claim(claim("another")).await.unwrap().len(), 1);
        assert!(matches!(bridge.store.begin(begin("another")).await.unwrap(), Begun::Attempt(_)));
        assert_eq!(put(&bridge, "another").await.number, 2, "the same again changes nothing");
        assert_eq!(put(&bridge, "mine").await.number, 3, "taken back");
    }
}
