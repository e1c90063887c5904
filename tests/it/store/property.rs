//! Whatever order things happen in: the invariants hold after each step, nothing is stuck at the end, and the same seed tells the same story.

use super::bridge::{Episode, Written};
use super::*;
use crate::support::temp_dir;
use ips_bridge::domain::delivery::{Delivery, State};
use ips_bridge::domain::ids::AttemptId;
use ips_bridge::domain::organisation::EndpointId;
use ips_bridge::domain::policy::FiledBy;
use ips_bridge::domain::verdict::{Level, Meaning};
use ips_bridge::store::Scope;
use ips_bridge::store::write::{Begun, Claimed, Operation};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Act {
    Write { patient: usize },
    Replace { note: usize },
    Withdraw { note: usize },
    Claim { anew: bool, limit: u32, lease: u64 },
    Begin { claim: usize },
    Settle { claim: usize, sent: Sent },
    PutBack { claim: usize },
    Late { delivery: usize, meaning: Meaning, level: Level },
    Operate { delivery: usize, operation: Operation },
    Reopen { anew: bool },
    Pass { seconds: u64 },
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    use Act::*;
    let sent = prop::sample::select(vec![
        Sent::Filed,
        Sent::Filed,
        Sent::Accepted,
        Sent::Refused,
        Sent::TryLater,
        Sent::Silence,
        Sent::Never,
    ]);
    let meaning = prop::sample::select(vec![Meaning::Positive, Meaning::Refused, Meaning::Retry, Meaning::Unknown]);
    let level = prop::sample::select(vec![Level::Transport, Level::Application]);
    let operation = prop_oneof![
        Just(Operation::Retry { may_be_in_record_acknowledged: true }),
        any::<bool>().prop_map(|a| Operation::Rerender { may_be_in_record_acknowledged: a }),
        Just(Operation::Park),
        any::<bool>().prop_map(|a| Operation::Cancel { may_be_in_record_acknowledged: a }),
    ];
    let any_of = 0usize..1000;
    prop_oneof![
        5 => any_of.clone().prop_map(|patient| Write { patient }),
        4 => any_of.clone().prop_map(|note| Replace { note }),
        3 => any_of.clone().prop_map(|note| Withdraw { note }),
        8 => (any::<bool>(), 1u32..4, 30u64..200).prop_map(|(anew, limit, lease)| Claim { anew, limit, lease }),
        8 => any_of.clone().prop_map(|claim| Begin { claim }),
        8 => (any_of.clone(), sent).prop_map(|(claim, sent)| Settle { claim, sent }),
        1 => any_of.clone().prop_map(|claim| PutBack { claim }),
        3 => (any_of.clone(), meaning, level).prop_map(|(delivery, meaning, level)| Late { delivery, meaning, level }),
        3 => (any_of, operation).prop_map(|(delivery, operation)| Operate { delivery, operation }),
        2 => any::<bool>().prop_map(|anew| Reopen { anew }),
        3 => (1u64..120).prop_map(|seconds| Pass { seconds }),
        1 => Just(Restart),
    ]
}

/// The bridge, and what its callers and workers remember.
struct Story {
    bridge: Bridge,
    seed: u64,
    restarts: u64,
    episodes: Vec<Episode>,
    notes: Vec<(usize, Written)>,
    claims: Vec<(Claimed, Option<AttemptId>)>,
    log: Vec<String>,
}

fn pick<T>(of: &[T], n: usize) -> Option<usize> {
    (!of.is_empty()).then(|| n % of.len())
}

impl Story {
    async fn begin(url: &str, seed: u64) -> Self {
        let bridge = Bridge::seeded(&bridge::settings(url), rulebook(), seed).await;
        let mut episodes = Vec::new();
        for team in ["east", "east", "anew", "copies"] {
            episodes.push(bridge.refer(&rx9(), person(), team).await);
        }
        Self { bridge, seed, restarts: 0, episodes, notes: vec![], claims: vec![], log: vec![] }
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let all =
            self.bridge.store.deliveries(&Scope::system(), &Default::default(), lists::page(10_000)).await.unwrap();
        let mut all: Vec<Delivery> = all;
        all.sort_by_key(|d| (d.created_at, d.id));
        all
    }

    async fn act(mut self, act: &Act) -> Self {
        let said = match act {
            Act::Restart => {
                self.restarts += 1;
                let now = self.bridge.now();
                let url = self.bridge.url.clone();
                self.bridge.close().await;
                let seed = self.seed + self.restarts * 1_000_003;
                self.bridge = Bridge::seeded(&bridge::settings(&url), rulebook(), seed).await;
                self.bridge.clock.set(now);
                "restarted".to_owned()
            }
            act => self.do_one(act).await,
        };
        self.log.push(format!("{act:?}: {said}"));
        for d in self.deliveries().await {
            self.log.push(format!("  {} {} v{} {:?}", d.id, d.state.word(), d.version, d.park.map(|p| p.reason)));
        }
        self
    }

    async fn do_one(&mut self, act: &Act) -> String {
        let bridge = &self.bridge;
        match act {
            Act::Write { patient } => {
                let patient = patient % self.episodes.len();
                let written = bridge.write(&self.episodes[patient], "Note.").await;
                self.notes.push((patient, written.clone()));
                format!("{:?}", written.deliveries)
            }
            Act::Replace { note } => match pick(&self.notes, *note) {
                Some(n) => format!(
                    "{:?}",
                    bridge.replace(&self.episodes[self.notes[n].0], self.notes[n].1.note, "Again.").await
                ),
                None => String::new(),
            },
            Act::Withdraw { note } => match pick(&self.notes, *note) {
                Some(n) => {
                    format!("{:?}", bridge.withdraw(&self.episodes[self.notes[n].0], self.notes[n].1.note).await)
                }
                None => String::new(),
            },
            Act::Claim { anew: to_anew, limit, lease } => {
                let endpoint = if *to_anew { anew() } else { epr() };
                let claimed = bridge.claim_for(&endpoint, *limit, Duration::from_secs(*lease)).await;
                assert!(claimed.len() <= *limit as usize);
                self.check_order(&claimed).await;
                let said = format!("{:?}", claimed.iter().map(|c| c.delivery.id).collect::<Vec<_>>());
                self.claims.extend(claimed.into_iter().map(|c| (c, None)));
                said
            }
            Act::Begin { claim } => {
                let Some(n) = pick(&self.claims, *claim).filter(|n| self.claims[*n].1.is_none()) else {
                    return String::new();
                };
                let begun = bridge.store.begin(bridge.beginning(&self.claims[n].0)).await.unwrap();
                if let Begun::Attempt(attempt) = begun {
                    self.claims[n].1 = Some(attempt);
                }
                format!("{begun:?}")
            }
            Act::Settle { claim, sent } => {
                let Some(n) = pick(&self.claims, *claim).filter(|n| self.claims[*n].1.is_some()) else {
                    return String::new();
                };
                let (claimed, attempt) = self.claims.swap_remove(n);
                let settled = bridge.settle(&claimed, attempt.unwrap(), *sent).await;
                assert_eq!(settled, bridge.delivery(settled.id).await, "the answer is what the record says");
                settled.state.word().to_owned()
            }
            Act::PutBack { claim } => {
                let Some(n) = pick(&self.claims, *claim).filter(|n| self.claims[*n].1.is_none()) else {
                    return String::new();
                };
                let (claimed, _) = self.claims.swap_remove(n);
                bridge.put_back(&claimed).await.state.word().to_owned()
            }
            Act::Late { delivery, meaning, level } => {
                let all = self.deliveries().await;
                let sent: Vec<&Delivery> = all.iter().filter(|d| d.rendering.is_some()).collect();
                let Some(n) = pick(&sent, *delivery) else { return String::new() };
                let control_id = bridge.control_id(sent[n].id).await;
                let credited = bridge.late(&sent[n].endpoint, &control_id, verdict(*meaning, *level, "L")).await;
                assert_eq!(credited, Some(sent[n].id));
                String::new()
            }
            Act::Operate { delivery, operation } => {
                let all = self.deliveries().await;
                let Some(n) = pick(&all, *delivery) else { return String::new() };
                format!("{:?}", bridge.operate(all[n].id, operation.clone()).await.map(|a| a.answer().version))
            }
            Act::Reopen { anew: to_anew } => {
                if !self.notes.is_empty() {
                    gate::open_again(bridge, &if *to_anew { anew() } else { epr() }).await;
                }
                String::new()
            }
            Act::Pass { seconds } => {
                bridge.clock.advance(Duration::from_secs(*seconds));
                String::new()
            }
            Act::Restart => String::new(),
        }
    }

    /// What was claimed goes before everything else of its lane that could go.
    async fn check_order(&self, claimed: &[Claimed]) {
        let all = self.deliveries().await;
        for c in claimed {
            let free = |d: &Delivery| {
                !ips_bridge::domain::chain::blocked(
                    d.action,
                    d.predecessor.and_then(|p| all.iter().find(|o| o.id == p)),
                )
            };
            for other in
                all.iter().filter(|o| o.endpoint == c.delivery.endpoint && o.patient_id == c.delivery.patient_id)
            {
                match other.state {
                    // On SQLite it is written with what is begun under it.
                    State::Queued | State::BackingOff if other.id == c.delivery.id => assert!(self.bridge.is_sqlite()),
                    _ if other.id == c.delivery.id => assert_eq!(other.state, State::Sending),
                    State::Sending | State::BackingOff => {
                        panic!("{other:?} holds the lane in which {:?} was claimed", c.delivery)
                    }
                    State::Queued if free(other) && c.delivery.next_attempt_at.is_none() => {
                        assert!(other.lane_seq > c.delivery.lane_seq, "{other:?} was there before {:?}", c.delivery);
                    }
                    _ => {}
                }
            }
        }
    }

    async fn check(&self) {
        self.bridge.check_columns().await;
        for d in self.deliveries().await {
            if d.state == State::Filed {
                assert!(
                    d.evidence.iter().any(|e| e.kind.files(FiledBy::ApplicationAck)),
                    "filed without evidence: {d:?}"
                );
            }
            assert_eq!(d.park.is_some(), d.state == State::Parked);
            let steps = self.bridge.store.steps(&d).await.unwrap();
            // It begins QUEUED; where it does not, its beginning is told too.
            let born = steps.iter().filter(|s| s.version == 1).count() as i64;
            assert_eq!(steps.len() as i64, d.version - 1 + born, "every change is in the timeline");
            assert!(steps.last().is_none_or(|s| s.state == d.state));
        }
        assert_eq!(raw::number(&self.bridge.url, "SELECT COUNT(*) FROM reply WHERE delivery_id IS NULL").await, 0);
    }

    /// Everything answers, and people look after what is parked: all of it comes to its end.
    async fn drain(&mut self) {
        for _ in 0..40 {
            self.bridge.clock.advance(Duration::from_secs(300));
            if !self.notes.is_empty() {
                gate::open_again(&self.bridge, &epr()).await;
                gate::open_again(&self.bridge, &anew()).await;
            }
            for d in self.deliveries().await {
                match d.state {
                    State::Parked => drop(
                        self.bridge
                            .operate(d.id, Operation::Retry { may_be_in_record_acknowledged: true })
                            .await
                            .unwrap(),
                    ),
                    State::Accepted => {
                        let control_id = self.bridge.control_id(d.id).await;
                        self.bridge
                            .late(&d.endpoint, &control_id, verdict(Meaning::Positive, Level::Application, "AA"))
                            .await;
                    }
                    _ => {}
                }
            }
            for endpoint in [epr(), anew()] {
                for claimed in self.claim_all(&endpoint).await {
                    let attempt = self.bridge.begin(&claimed).await;
                    self.bridge.settle(&claimed, attempt, Sent::Filed).await;
                }
            }
            self.check().await;
            if self.deliveries().await.iter().all(|d| !d.state.is_open()) {
                return;
            }
        }
        let stuck: Vec<Delivery> = self.deliveries().await.into_iter().filter(|d| d.state.is_open()).collect();
        panic!("stuck: {stuck:?}");
    }

    async fn claim_all(&self, endpoint: &EndpointId) -> Vec<Claimed> {
        let claimed = self.bridge.claim(endpoint, 1000).await;
        self.check_order(&claimed).await;
        claimed
    }
}

fn tell(acts: &[Act], seed: u64, checked: bool) -> Vec<String> {
    let folder = temp_dir();
    let url = format!("sqlite://{}", folder.path().join("record.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut story = Story::begin(&url, seed).await;
        for act in acts {
            story = story.act(act).await;
            if checked {
                story.check().await;
            }
        }
        if checked {
            story.drain().await;
        }
        let Story { bridge, log, .. } = story;
        bridge.close().await;
        log
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_invariants_hold_after_every_step_and_nothing_is_stuck_at_the_end(
        acts in prop::collection::vec(act(), 1..60),
        seed in 1u64..1_000_000,
    ) {
        tell(&acts, seed, true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_same_seed_tells_the_same_story(acts in prop::collection::vec(act(), 40..60), seed in 1u64..1_000_000) {
        prop_assert_eq!(tell(&acts, seed, false), tell(&acts, seed, false));
    }
}
