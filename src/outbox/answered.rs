//! Which of our messages the far end has answered on our own connections. A second answer to one of them is evidence, weighed as any that comes late;
//! a frame that names anything else there answers nothing.

use crate::transport::{Stray, StrayKind};
use crate::verdict::answers;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Messages remembered once their answer is settled: a second one comes at once, or on a connection that has not been idle for long.
const REMEMBERED: usize = 1_000;
/// Second answers to one message that wait for its first to be settled.
const WAITING_MAX: usize = 16;

/// One endpoint's.
#[derive(Default)]
pub struct Answered(Mutex<VecDeque<Known>>);

struct Known {
    control_id: String,
    /// What came before the first answer was settled; `None` once it is.
    waiting: Option<Vec<Stray>>,
}

impl Answered {
    fn known(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer to this message is there, and not settled yet.
    pub(super) fn heard(&self, control_id: &str) {
        let mut known = self.known();
        let before = known.iter().position(|k| k.control_id == control_id).and_then(|at| known.remove(at));
        let waiting = before.and_then(|k| k.waiting).unwrap_or_default();
        known.push_back(Known { control_id: control_id.to_owned(), waiting: Some(waiting) });
        if known.len() > REMEMBERED
            && let Some(oldest) = known.iter().position(|k| k.waiting.is_none())
        {
            known.remove(oldest);
        }
    }

    /// It is settled. Gives what came in between: its turn has come.
    pub(super) fn settled(&self, control_id: &str) -> Vec<Stray> {
        let mut known = self.known();
        let found = known.iter_mut().find(|k| k.control_id == control_id);
        found.and_then(|k| k.waiting.take()).unwrap_or_default()
    }

    /// Whether it answers a message that was answered before.
    pub(super) fn is_second(&self, stray: &Stray) -> bool {
        names(stray).is_some_and(|id| self.known().iter().any(|k| k.control_id == id))
    }

    /// The stray and whether it is a second answer; nothing, where it waits for the first to be settled.
    pub(super) fn weighable(&self, stray: Stray) -> Option<(Stray, bool)> {
        let Some(id) = names(&stray) else { return Some((stray, false)) };
        let mut known = self.known();
        match known.iter_mut().find(|k| k.control_id == id).map(|k| &mut k.waiting) {
            None => Some((stray, false)),
            Some(Some(waiting)) if waiting.len() < WAITING_MAX => {
                waiting.push(stray);
                None
            }
            Some(_) => Some((stray, true)),
        }
    }
}

fn names(stray: &Stray) -> Option<String> {
    answers(&stray.bytes).filter(|id| stray.kind == StrayKind::Frame && !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stray(control_id: &str) -> Stray {
        let bytes = format!("MSH|^~\\&|EPR|RZ9|IPS|RZ9|20260302||ACK|1|T|2.4\rMSA|AE|{control_id}\r").into_bytes();
        Stray { bytes, kind: StrayKind::Frame }
    }

    #[test]
    fn a_second_answer_waits_until_the_first_is_settled_and_nothing_else_is_one() {
        let answered = Answered::default();
        assert!(!answered.is_second(&stray("A")));
        assert!(matches!(answered.weighable(stray("A")), Some((_, false))), "never answered: it answers nothing");
        answered.heard("A");
        assert!(answered.is_second(&stray("A")) && answered.weighable(stray("A")).is_none());
        assert_eq!(answered.settled("A").len(), 1);
        assert!(matches!(answered.weighable(stray("A")), Some((_, true))));
        let fragment = Stray { kind: StrayKind::Fragment, ..stray("A") };
        assert!(matches!(answered.weighable(fragment), Some((_, false))), "a piece of a frame answers nothing");
    }

    #[test]
    fn the_oldest_are_forgotten_and_never_one_whose_answer_is_not_settled() {
        let answered = Answered::default();
        answered.heard("open");
        for n in 0..2 * REMEMBERED {
            answered.heard(&n.to_string());
            answered.settled(&n.to_string());
        }
        assert_eq!(answered.known().len(), REMEMBERED);
        assert!(answered.is_second(&stray("open")) && !answered.is_second(&stray("0")));
    }
}
