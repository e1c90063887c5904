//! A random walk against a model of the far end that really files or not, loses its answers, repeats them, and never lies.

use super::*;
use proptest::prelude::*;

/// What the far end holds, and what it said and nobody has heard yet.
struct FarEnd {
    recognises_repeats: bool,
    enhanced: bool,
    copies: u32,
    /// It has truly said that the record holds it.
    proof_given: bool,
    /// Answers under way on the listener; they can be lost, late, or come twice.
    answers: Vec<Verdict>,
}

/// What comes back on the connection. `None`: silence.
type Heard = Option<Verdict>;

impl FarEnd {
    fn file(&mut self) -> Verdict {
        if self.copies > 0 && self.recognises_repeats {
            return ae205();
        }
        self.copies += 1;
        aa()
    }

    fn receive(&mut self, mood: u8) -> Heard {
        let answer = match mood % 5 {
            0 => ae(),
            1 => ae207(),
            _ => self.file(),
        };
        if self.enhanced {
            self.answers.push(answer);
            return (mood & 32 == 0).then(ca);
        }
        match mood / 5 % 4 {
            // Filed or not, and the answer is lost, or heard only by a worker that has lost its lease.
            0 => {
                self.answers.push(answer);
                None
            }
            1 => None,
            2 if mood & 64 == 64 => Some(Verdict::unreadable()),
            _ => Some(self.said(answer)),
        }
    }

    fn said(&mut self, answer: Verdict) -> Verdict {
        self.proof_given |= answer.meaning == Meaning::Positive && answer.level == Level::Application;
        answer
    }
}

struct Walk {
    d: Delivery,
    policy: EndpointPolicy,
    far: FarEnd,
    sends: u32,
    by_person: bool,
}

impl Walk {
    fn happen(&mut self, happened: &Happened, random: u64) {
        let before = self.d.clone();
        let Ok(decision) = decide(&before, &self.policy, happened, at(5), random) else { return };
        self.d = decision.delivery;
        let resting = matches!(before.state, State::Parked | State::Cancelled);
        let going = matches!(self.d.state, State::Queued | State::Sending | State::BackingOff);
        let person = matches!(happened, Happened::Retried { .. } | Happened::Rerendered { .. });
        assert!(!(resting && going) || person, "{before:?} {happened:?}");
        let given_up = before.state == State::Cancelled;
        assert!(!given_up || matches!(self.d.state, State::Cancelled | State::Filed), "{happened:?}");
        self.by_person |= person;
    }

    fn step(&mut self, action: u8, mood: u8, persons: bool) {
        let random = u64::from(mood);
        match (self.d.state, action % 8) {
            (State::Queued | State::BackingOff, 0..5) => self.happen(&Happened::Claimed, random),
            (State::Sending, _) if !self.d.begun => match action % 5 {
                0 => self.happen(&Happened::LeaseExpired, random),
                1 => self.happen(&Happened::NotSent, random),
                _ => self.happen(&begun(), random),
            },
            (State::Sending, 0) => self.happen(&Happened::NotSent, random),
            (State::Sending, action) => {
                self.sends += 1;
                let heard = self.far.receive(mood);
                // The application may be faster than the settling of its commit acknowledgement.
                if action == 1 {
                    self.listen(mood);
                }
                match heard {
                    Some(verdict) => self.happen(&replied(verdict), random),
                    None if action == 2 => self.happen(&Happened::LeaseExpired, random),
                    None => self.happen(&no_answer(), random),
                }
            }
            (_, 5 | 6) => self.listen(mood),
            (State::Parked, 0..3) if persons => self.happen(&retried(), random),
            (State::Parked, 3) if persons => {
                self.happen(&rerendered(true), random);
            }
            (_, 4) if persons => self.happen(&cancelled_by(mood & 1 == 1), random),
            (_, 7) if persons => self.happen(&Happened::Stopped { why: "wait".into() }, random),
            _ => {}
        }
    }

    /// One answer arrives late; a third of them stay and come again.
    fn listen(&mut self, mood: u8) {
        if self.far.answers.is_empty() {
            return;
        }
        let at = usize::from(mood) % self.far.answers.len();
        let answer =
            if mood.is_multiple_of(3) { self.far.answers[at].clone() } else { self.far.answers.swap_remove(at) };
        let answer = self.far.said(answer);
        self.happen(&late(answer, &self.policy), u64::from(mood));
    }
}

fn walk(enhanced: bool, recognises_repeats: bool, engine: bool, persons: bool, steps: &[(u8, u8)]) -> Walk {
    let mut policy = if enhanced { self::enhanced() } else { policy() };
    if !recognises_repeats {
        policy.after_unknown = AfterUnknown::Park;
    }
    if engine {
        policy.acknowledged_by = AcknowledgedBy::Engine;
    }
    let far = FarEnd { recognises_repeats, enhanced, copies: 0, proof_given: false, answers: vec![] };
    let mut w = Walk { d: fresh(), policy, far, sends: 0, by_person: false };
    for (action, mood) in steps {
        let (action, mood) = (*action, *mood);
        w.step(action, mood, persons);
        if w.d.state == State::Filed {
            assert!(w.far.proof_given && w.far.copies > 0 && !engine, "filed without evidence");
        }
        if w.far.copies > 0 && matches!(w.d.state, State::Parked | State::Cancelled | State::BackingOff | State::Queued)
        {
            assert!(w.d.may_have_been_received(), "the record holds it, and nobody is warned: {:?}", w.d);
        }
        if !w.by_person {
            let allowed = 1 + w.policy.max_refused_retries + w.policy.max_unknown_resends;
            assert!(w.sends <= allowed, "{} sends", w.sends);
            assert!(w.far.copies <= 1, "a second copy that no person asked for");
        }
        if recognises_repeats {
            assert!(w.far.copies <= 1);
        }
    }
    w
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec(any::<(u8, u8)>(), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn no_walk_calls_a_note_filed_without_evidence_or_files_it_twice(
        enhanced: bool, recognises_repeats: bool, engine: bool, persons: bool, steps in steps(),
    ) {
        walk(enhanced, recognises_repeats, engine, persons, &steps);
    }

    /// Left alone with a far end that never says a clear word, every delivery comes to rest within its limits.
    #[test]
    fn attempts_are_bounded(outcomes in proptest::collection::vec(0u8..5, 40)) {
        let (policy, mut d, mut outcomes) = (policy(), fresh(), outcomes.into_iter());
        while d.state != State::Parked {
            let outcome = match outcomes.next() {
                Some(0) => Happened::LeaseExpired,
                Some(1) => no_answer(),
                Some(2) => replied(Verdict::unreadable()),
                _ => replied(ae207()),
            };
            d = again(&d, &policy, outcome);
            prop_assert!(d.attempts <= 1 + policy.max_unknown_resends + policy.max_refused_retries);
        }
        // A refusal for each, or the doubt is shown.
        prop_assert_eq!(d.may_have_been_received(), d.unknown_resends > 0 || d.unresolved > 0);
    }
}

/// The walks do meet what they are about.
#[test]
fn the_walks_reach_every_state() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::HashSet::new();
    for case in 0..600 {
        let steps = steps().new_tree(&mut runner).expect("steps").current();
        let w = walk(case % 2 == 0, case % 3 == 0, case % 5 == 0, true, &steps);
        seen.insert(w.d.state);
        seen.extend((w.d.state == State::Filed && w.d.cancelled.is_some()).then_some(State::Cancelled));
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}
