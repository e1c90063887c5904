//! A random walk against a record that loses its answers, lists what it holds late, and never lies: nothing twice, nothing filed that is not
//! there, and an end to it.

use super::*;
use crate::domain::ask::Answer;
use proptest::prelude::*;

struct Record {
    copies: u32,
    filed_at: i64,
    /// Seconds from filing to being listed; less than the rules wait.
    lag: i64,
}

impl Record {
    /// What becomes of a send, and what is heard of it.
    fn receive(&mut self, mood: u8, now: i64) -> Happened {
        if mood & 1 == 1 {
            self.copies += 1;
            self.filed_at = now;
        }
        match mood / 2 % 4 {
            0 if mood & 1 == 1 => replied(aa()),
            0 => replied(ae207()),
            1 => no_answer(),
            2 => Happened::LeaseExpired,
            _ => replied(Verdict::unreadable()),
        }
    }

    fn answer(&self, mood: u8, now: i64) -> Answer {
        match mood % 5 {
            0 if mood % 2 == 1 => Answer::Several,
            0 => Answer::CannotSay { code: "HTTP 500".into() },
            1 => Answer::NotHeard { why: "silence".into() },
            _ if self.copies > 0 && now - self.filed_at >= self.lag => Answer::Found { record_id: None },
            _ => Answer::NotFound,
        }
    }
}

fn walk(filed_by: FiledBy, lag: i64, moods: &[u8]) -> (Delivery, u32) {
    let p = EndpointPolicy {
        after_unknown: AfterUnknown::Query,
        evidence_overdue_after: Duration::from_secs(7200),
        filed_by,
        ..policy()
    };
    let mut record = Record { copies: 0, filed_at: 0, lag };
    let (mut d, mut now, mut moods) = (fresh(), 0, moods.iter().copied().cycle());
    for _ in 0..2_000 {
        let mood = moods.next().unwrap_or(0);
        let happen =
            |d: &Delivery, happened: &Happened, now: i64| match decide(d, &p, happened, at(now), u64::from(mood)) {
                Ok(decision) => decision.delivery,
                Err(why) => panic!("{happened:?}: {why}"),
            };
        let due = match d.state {
            State::Queued | State::BackingOff => d.due_at(),
            State::Accepted => match d.ask_at() {
                Some(at) => at,
                None => return (d, record.copies),
            },
            _ => return (d, record.copies),
        };
        now = now.max(due.as_second() - at(0).as_second() + 1);
        if d.state != State::Accepted {
            d = happen(&d, &Happened::Claimed, now);
        }
        d = if d.asking.is_some() {
            happen(&d, &Happened::Asked { answer: record.answer(mood, now), reply: Some(reply()) }, now)
        } else {
            let d = happen(&d, &begun(), now);
            let heard = record.receive(mood, now);
            happen(&d, &heard, now)
        };
        assert!(record.copies <= 1, "a second copy after {d:?}");
        assert!(d.state != State::Filed || record.copies == 1, "filed and not there: {d:?}");
        assert!(record.copies == 0 || d.may_have_been_received(), "there, and nobody is warned: {d:?}");
    }
    panic!("it never came to rest: {d:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn asking_first_neither_doubles_nor_loses_nor_goes_on_for_ever(
        read_back: bool, lag in 0i64..600, moods in proptest::collection::vec(any::<u8>(), 8..80),
    ) {
        // Moods that let the record answer now and then: an EPR that is away for ever is waited for for ever.
        prop_assume!(moods.iter().any(|m| m % 5 > 1));
        walk(if read_back { FiledBy::ReadBack } else { FiledBy::ApplicationAck }, lag, &moods);
    }
}
