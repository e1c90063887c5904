//! One note through one lane, as store and outbox apply the rules, against a far end that keeps a record. Random interleavings of new
//! versions, answers (lost, late, doubled), dead workers and persons: what the record ends up holding.

use super::*;
use crate::domain::decide::decide;
use crate::domain::verdict::Verdict;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A rendering: which document it is about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Message {
    Create {
        document: i64,
    },
    /// T10: a new document takes the place of an old one.
    Replace {
        document: i64,
        old: i64,
    },
    /// T08: the document keeps its id.
    Edit {
        document: i64,
    },
    Withdraw {
        document: i64,
    },
}

#[derive(Debug, Default)]
struct Record {
    /// Document id to the version it shows and whether it is current.
    documents: BTreeMap<i64, (i64, bool)>,
    /// Versions whose message was acted on; it recognises repeats.
    taken: Vec<i64>,
    /// Versions whose bytes arrived, each time.
    arrived: Vec<i64>,
    /// Answers under way: of which version.
    answers: Vec<(i64, Verdict)>,
    /// Says AA to the withdrawal of a document it never had.
    lenient: bool,
}

impl Record {
    fn receive(&mut self, version: i64, message: Message, mood: u8) -> Verdict {
        // Only what was refused may be followed by an older version, and only by one that had arrived before it.
        assert!(self.taken.iter().all(|taken| version >= *taken), "version {version} after one that was taken");
        assert!(
            self.arrived.contains(&version) || self.arrived.iter().all(|a| version > *a),
            "version {version} arrives after a newer one"
        );
        self.arrived.push(version);
        if self.taken.contains(&version) {
            return if mood & 128 == 0 { aa() } else { ae205() };
        }
        match mood % 6 {
            0 => return ae(),
            1 => return ae207(),
            _ => {}
        }
        match message {
            Message::Create { document } => {
                self.documents.insert(document, (version, true));
            }
            Message::Replace { document, old } => {
                let Some(replaced) = self.documents.get_mut(&old) else { return ae() };
                replaced.1 = false;
                self.documents.insert(document, (version, true));
            }
            Message::Edit { document } => {
                let Some(edited) = self.documents.get_mut(&document) else { return ae() };
                edited.0 = version;
            }
            Message::Withdraw { document } => match self.documents.get_mut(&document) {
                Some(withdrawn) => withdrawn.1 = false,
                None if self.lenient => {}
                None => return ae(),
            },
        }
        self.taken.push(version);
        aa()
    }

    fn current(&self) -> Vec<i64> {
        self.documents.values().filter(|(_, current)| *current).map(|(version, _)| *version).collect()
    }
}

struct Lane {
    chain: Vec<Delivery>,
    renderings: BTreeMap<i64, Message>,
    record: Record,
    policy: EndpointPolicy,
    in_place: bool,
    /// A person said: I know that it may be in the record.
    acknowledged: bool,
    withdrawn: bool,
}

impl Lane {
    fn happen(&mut self, i: usize, happened: &Happened) {
        if let Ok(decision) = decide(&self.chain[i], &self.policy, happened, at(5), 1) {
            self.chain[i] = decision.delivery;
        }
        self.ripple();
    }

    /// As the store does in the same commit, until nothing is left to say.
    fn ripple(&mut self) {
        for _ in 0..=3 * self.chain.len() {
            if !self.ripple_once() {
                return;
            }
        }
        panic!("no end of what follows from what");
    }

    fn ripple_once(&mut self) -> bool {
        for s in 0..self.chain.len() {
            let Some(p) = self.chain.iter().position(|d| Some(d.id) == self.chain[s].predecessor) else { continue };
            let which: &[(usize, Happened)] =
                match after_settling(&self.chain[p], &self.chain[s], &self.chain[..p], super::ids(self.in_place)) {
                    AfterSettling::Nothing => continue,
                    AfterSettling::GivesWay => &[(p, Happened::Superseded { why: "a newer version" })],
                    AfterSettling::BothEnd => &[
                        (p, Happened::Superseded { why: "withdrawn" }),
                        (s, Happened::Superseded { why: "nothing there" }),
                    ],
                    AfterSettling::SuccessorNameable => &[(s, Happened::Nameable)],
                };
            for (i, happened) in which {
                if self.chain[*i].state == State::Cancelled {
                    continue;
                }
                let decided = decide(&self.chain[*i], &self.policy, happened, at(5), 1);
                self.chain[*i] = decided.expect("what the chain asks for is possible").delivery;
            }
            return true;
        }
        false
    }

    fn accept(&mut self, action: EntryAction) {
        if self.withdrawn {
            return;
        }
        self.withdrawn = action == Withdraw;
        let plan = plan(&self.chain, action, super::ids(self.in_place));
        for id in plan.cancel {
            let i = self.chain.iter().position(|d| d.id == id).expect("of this chain");
            let superseded = Happened::Superseded { why: "a newer version" };
            self.chain[i] = decide(&self.chain[i], &self.policy, &superseded, at(5), 1).expect("possible").delivery;
        }
        if let Some(successor) = plan.send {
            let mut d = delivery(self.chain.len() as u128 + 1, action);
            d.predecessor = successor.predecessor;
            if successor.cannot_name {
                d.state = State::Parked;
                let reason = ParkReason::WithdrawalCannotNameDocument;
                d.park = Some(super::super::super::delivery::Park::new(reason, ""));
            }
            self.chain.push(d);
        }
        self.ripple();
    }

    fn next(&self) -> Option<usize> {
        if self.chain.iter().any(|d| d.state == State::Sending) {
            return None;
        }
        let going = |d: &Delivery| matches!(d.state, State::Queued | State::BackingOff);
        (0..self.chain.len())
            .find(|i| going(&self.chain[*i]) && (self.chain[*i].state == State::BackingOff || !self.is_blocked(*i)))
    }

    fn is_blocked(&self, i: usize) -> bool {
        let d = &self.chain[i];
        blocked(d.action, self.chain.iter().find(|p| Some(p.id) == d.predecessor))
    }

    fn render(&mut self, i: usize) -> Message {
        let (before, d) = (&self.chain[..i], &self.chain[i]);
        let id = |d: Option<&Delivery>| d.map(|d| d.subject_version);
        let base = id(document_of(before, d.action, self.in_place));
        let own = d.subject_version;
        // Rendered once.
        if let Some(message) = self.renderings.get(&own) {
            return *message;
        }
        let message = match (d.action, base) {
            (Withdraw, document) => {
                Message::Withdraw { document: document.expect("a withdrawal that goes has a document to name") }
            }
            (_, None) => Message::Create { document: own },
            (_, Some(document)) if self.in_place => Message::Edit { document },
            (_, Some(old)) => Message::Replace { document: own, old },
        };
        self.renderings.insert(own, message);
        message
    }

    fn claim(&mut self) {
        let Some(i) = self.next() else { return };
        if overtaken(&self.chain[i + 1..]) {
            self.happen(i, &Happened::Superseded { why: "a newer version has gone" });
        } else {
            self.happen(i, &Happened::Claimed);
        }
    }

    fn work(&mut self, action: u8, mood: u8) {
        let Some(i) = self.chain.iter().position(|d| d.state == State::Sending) else { return self.claim() };
        if !self.chain[i].begun {
            return match action % 8 {
                0 => self.happen(i, &Happened::LeaseExpired),
                1 => self.happen(i, &Happened::NotSent),
                // What it withdraws was refused since it was claimed.
                _ if self.chain[i].action == Withdraw
                    && !self.renderings.contains_key(&self.chain[i].subject_version)
                    && speaks_of(&self.chain[..i], Withdraw).is_none() =>
                {
                    self.happen(i, &Happened::NotSent);
                    assert_eq!(self.chain[i].state, State::Cancelled);
                }
                // The safety holds are looked at before every send: the chain may have changed since the claim.
                _ if self.is_blocked(i) => {
                    let reason = ParkReason::PredecessorUnresolved;
                    self.happen(i, &Happened::Held { reason, detail: String::new() });
                }
                _ => {
                    self.render(i);
                    self.happen(i, &begun());
                }
            };
        }
        match action % 8 {
            0 => self.happen(i, &Happened::NotSent),
            1 => self.happen(i, &no_answer()),
            _ => {
                let (version, message) = (self.chain[i].subject_version, self.render(i));
                let answer = self.record.receive(version, message, mood);
                if self.policy.ack_mode == crate::domain::policy::AckMode::Enhanced {
                    self.record.answers.push((version, answer));
                    let happened = if action % 8 == 2 { no_answer() } else { replied(ca()) };
                    return self.happen(i, &happened);
                }
                match action % 8 {
                    2 => {
                        self.record.answers.push((version, answer));
                        self.happen(i, &Happened::LeaseExpired);
                    }
                    3 => self.happen(i, &no_answer()),
                    _ => self.happen(i, &replied(answer)),
                }
            }
        }
    }

    fn listen(&mut self, mood: u8) {
        if self.record.answers.is_empty() {
            return;
        }
        let at = usize::from(mood) % self.record.answers.len();
        let (version, answer) =
            if mood.is_multiple_of(3) { self.record.answers[at].clone() } else { self.record.answers.remove(at) };
        let i = self.chain.iter().position(|d| d.subject_version == version).expect("sent");
        let happened = late(answer, &self.policy);
        self.happen(i, &happened);
    }

    fn person(&mut self, mood: u8, may_acknowledge: bool) {
        let i = usize::from(mood) % self.chain.len();
        match mood / 16 % 3 {
            0 if !self.chain[i].waits_for_a_name() => self.happen(i, &retried()),
            1 => self.happen(i, &Happened::Stopped { why: "wait".into() }),
            // Giving up what surely is not there leaves nothing behind; giving up a withdrawal is to let the note stand.
            _ if may_acknowledge => {
                self.acknowledged = true;
                self.happen(i, &cancelled_by(true));
            }
            _ => {}
        }
    }

    fn check(&self) {
        let current = self.record.current();
        for d in self.chain.iter().filter(|d| d.state == State::Filed) {
            assert!(self.record.taken.contains(&d.subject_version), "filed, and the record never took it");
        }
        if !self.acknowledged {
            assert!(current.len() <= 1, "current at once: {current:?}\n{:#?}", self.chain);
        }
    }

    /// The far end is well again and every answer is heard: how it ends.
    fn come_to_rest(&mut self) {
        for _ in 0..200 {
            while !self.record.answers.is_empty() {
                self.listen(1);
            }
            self.work(7, 2);
            self.check();
        }
        let parked = self.chain.iter().any(|d| d.state == State::Parked);
        assert!(!self.chain.iter().any(|d| d.state == State::Sending || d.state == State::BackingOff));
        if self.acknowledged || parked {
            return;
        }
        let current = self.record.current();
        if self.withdrawn {
            assert!(current.is_empty(), "withdrawn, current and nobody is told: {current:?}\n{:#?}", self.chain);
        } else {
            let newest = self.chain.last().map(|d| d.subject_version);
            assert_eq!(current.first().copied(), newest, "the newest version stands\n{:#?}", self.chain);
        }
    }
}

fn lane(in_place: bool, enhanced: bool, resend: bool, lenient: bool) -> Lane {
    let mut policy = if enhanced { super::enhanced() } else { policy() };
    policy.after_unknown = if resend { AfterUnknown::Resend } else { AfterUnknown::Park };
    Lane {
        chain: vec![first()],
        renderings: BTreeMap::new(),
        record: Record { lenient, ..Record::default() },
        policy,
        in_place,
        acknowledged: false,
        withdrawn: false,
    }
}

fn walk(lane: &mut Lane, steps: &[(u8, u8)], may_acknowledge: bool) {
    for (action, mood) in steps {
        match action % 16 {
            0 => lane.accept(Replace),
            1 if mood % 2 == 0 => lane.accept(Withdraw),
            2 | 3 => lane.listen(*mood),
            4 => lane.person(*mood, may_acknowledge),
            _ => lane.work(action / 16, *mood),
        }
        lane.check();
    }
    lane.come_to_rest();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

    /// Never two current documents; a replacement never arrives before its predecessor, nor an old version after a newer one; a
    /// withdrawn note never stays current in silence; the newest version stands at the end, or a person is asked.
    #[test]
    fn whatever_happens_the_record_holds_one_version_and_no_withdrawn_note_in_silence(
        in_place: bool, enhanced: bool, resend: bool, lenient: bool, may_acknowledge: bool,
        steps in proptest::collection::vec(any::<(u8, u8)>(), 0..80),
    ) {
        walk(&mut lane(in_place, enhanced, resend, lenient), &steps, may_acknowledge);
    }
}

/// The walks do meet what they are about: replaced, withdrawn and unnamed all happen, and most end well without a person.
#[test]
fn the_lane_walks_reach_what_they_are_about() {
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut replaced, mut withdrawn, mut unnamed, mut nothing_sent) = (0, 0, 0, 0);
    for case in 0..1500 {
        let steps = proptest::collection::vec(any::<(u8, u8)>(), 0..80);
        let steps = steps.new_tree(&mut runner).expect("steps").current();
        let mut lane = lane(case % 2 == 0, case % 3 == 0, case % 5 != 0, case % 7 == 0);
        walk(&mut lane, &steps, false);
        let filed = |action| lane.chain.iter().any(|d| d.action == action && d.state == State::Filed);
        replaced += u32::from(filed(Replace));
        withdrawn += u32::from(filed(Withdraw));
        unnamed += u32::from(lane.chain.iter().any(Delivery::waits_for_a_name));
        nothing_sent += u32::from(lane.withdrawn && lane.record.documents.is_empty());
    }
    assert!(
        replaced > 100 && withdrawn > 100 && unnamed > 5 && nothing_sent > 50,
        "{replaced} {withdrawn} {unnamed} {nothing_sent}"
    );
}
