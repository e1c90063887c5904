//! Versions, bytes, replies, timelines and audit are added to, never changed and never taken away.

use super::*;
use ips_bridge::domain::verdict::{Level, Meaning};
use ips_bridge::store::write::Operation;
use std::collections::BTreeSet;

const KEPT: [&str; 8] =
    ["entry", "patient_version", "referral_version", "rendering", "reply", "step", "audit", "request"];

async fn all_rows(url: &str) -> Vec<BTreeSet<String>> {
    let mut tables = Vec::new();
    for table in KEPT {
        tables.push(raw::rows(url, table).await);
    }
    tables
}

#[tokio::test]
async fn nothing_that_was_recorded_changes_or_vanishes() {
    for test in both() {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.refer(&rx9(), numbered("9990000018"), "east").await;
        let mut before = all_rows(&test.url).await;
        let mut grown = [false; KEPT.len()];
        let first = bridge.write(&of, "First.").await;
        let mut second = first.delivery();
        for step in 0..9 {
            match step {
                0 => drop(bridge.send(first.delivery(), Sent::Accepted).await),
                1 => second = bridge.replace(&of, first.note, "Second.").await.unwrap()[0],
                2 => {
                    let control_id = bridge.control_id(first.delivery()).await;
                    bridge
                        .late(&epr(), &control_id, verdict(Meaning::Positive, Level::Application, "AA"))
                        .await
                        .unwrap();
                    assert_eq!(bridge.state(first.delivery()).await, "FILED");
                }
                3 => {
                    bridge.send(second, Sent::Refused).await;
                    bridge.operate(second, Operation::Rerender { may_be_in_record_acknowledged: false }).await.unwrap();
                    bridge.send(second, Sent::Filed).await;
                }
                4 => drop(bridge.late(&epr(), "NOBODYS", verdict(Meaning::Positive, Level::Application, "AA")).await),
                5 => drop(bridge.withdraw(&of, first.note).await.unwrap()),
                6 => {
                    let mut details = of.details.clone();
                    details.name.given.0 = "Sian".into();
                    people::update(&bridge, &of, 1, details).await.unwrap();
                }
                7 => drop(bridge.store.write_note(bridge.note(&of, disclosure())).await.unwrap()),
                _ => {
                    let control_id = bridge.control_id(first.delivery()).await;
                    bridge
                        .late(&epr(), &control_id, verdict(Meaning::Refused, Level::Application, "AR"))
                        .await
                        .unwrap();
                    assert_eq!(bridge.state(first.delivery()).await, "PARKED");
                }
            }
            let after = all_rows(&test.url).await;
            for ((table, (old, new)), grown) in KEPT.iter().zip(before.iter().zip(&after)).zip(&mut grown) {
                assert!(old.is_subset(new), "a row of {table} changed or vanished in step {step}");
                *grown |= new.len() > old.len();
            }
            before = after;
        }
        assert_eq!(grown, [true; KEPT.len()], "the story must touch each of {KEPT:?}");
        bridge.check_columns().await;
        bridge.close().await;
    }
}
