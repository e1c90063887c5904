//! Segments that stand once in a message, or once in a group: what a second one says would be laid upon the first one's patient.

use super::super::hl7::{Message, Path};
use super::{FieldFault, Where};

/// A segment of which there is one; `?` behind its id: one at most.
#[derive(Debug, Clone)]
pub(super) struct Once {
    segment: String,
    may_be_absent: bool,
}

impl Once {
    pub fn parse(text: &str) -> Option<Self> {
        let segment = text.strip_suffix('?').unwrap_or(text);
        let is_id = segment.len() == 3 && Path::parse(&format!("{segment}-1")).is_ok();
        is_id.then(|| Self { segment: segment.into(), may_be_absent: segment.len() < text.len() })
    }

    pub fn in_message(&self, message: &Message) -> Option<FieldFault> {
        let what = match message.segments_named(&self.segment).count() {
            0 if !self.may_be_absent => "is not there, and has to be once".to_owned(),
            0 | 1 => return None,
            several => {
                format!(
                    "is there {several} times, and may be there once only: what a second one says may be of somebody else"
                )
            }
        };
        Some(self.fault(what))
    }

    /// Held against groups that begin with `first`: none before the first group, and one in each.
    pub fn in_groups(&self, there: Where<'_>, first: &str, groups: &[Where<'_>]) -> Option<FieldFault> {
        let count = |group: &Where<'_>, from: usize, to: usize| {
            group.segments().filter(|s| s.id() == self.segment && (from..to).contains(&s.index())).count()
        };
        let head = groups.first().map_or(there.to, |group| group.head);
        if count(&there, 0, head) > 0 {
            return Some(self.fault(format!("stands before the first {first}: nobody can say which {first} it is of")));
        }
        let odd = groups.iter().position(|group| match count(group, group.from, group.to) {
            0 => !self.may_be_absent,
            number => number > 1,
        });
        odd.map(|at| {
            self.fault(format!("does not stand once behind {first} number {}, before the next {first}", at + 1))
        })
    }

    fn fault(&self, what: String) -> FieldFault {
        FieldFault { field: "message".into(), from: self.segment.clone(), what }
    }
}
