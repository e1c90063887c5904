//! One message received: the fault it meets, what the record makes of it, and what goes back.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::answer::{Course, Reply, Style, acknowledgement, commit_code};
use super::faults::{Fault, Struck};
use super::late;
use super::record::{Became, Judgement};
use super::server::{Direction, Inner, Seen};
use crate::adapter::hl7::{AckCode, AckError, Envelope};
use crate::transport::mllp::{Answer, Received};

/// What is to be said about a message.
struct Verdict {
    code: AckCode,
    errors: Vec<AckError<'static>>,
    became: Became,
}

impl Inner {
    pub(super) async fn answer(self: Arc<Self>, received: Received, until: CancellationToken) -> Answer {
        let envelope = Envelope::peek(&received.bytes);
        let of = |read: fn(&Envelope) -> String| envelope.as_ref().map(read).unwrap_or_default();
        let kind = of(|e| format!("{}^{}", e.message_code(), e.trigger()));
        let control_id = of(|e| e.control_id().into_owned());
        let document_id = super::record::document_id(&received.bytes);
        let fault =
            self.take_in_hand(Struck { kind: &kind, control_id: &control_id, document_id: document_id.as_deref() });
        let _in_hand = InHand { inner: &self, control_id: &control_id };
        self.attend(&received.bytes, envelope.as_ref(), fault.as_ref(), &control_id, &until).await
    }

    async fn attend(
        self: &Arc<Self>,
        bytes: &[u8],
        envelope: Option<&Envelope>,
        fault: Option<&Fault>,
        control_id: &str,
        until: &CancellationToken,
    ) -> Answer {
        let cut_off = || Answer::silence().and_close();
        let course = Course::of(fault);
        if !pause(course.before, until).await {
            return cut_off();
        }
        let at = self.now();
        let verdict = self.judge(bytes, &course, fault);
        let became = verdict.became;
        let is_kept = match &self.keeper {
            Some(keeper) => keeper.has_kept(self.version()).await,
            None => true,
        };
        if !is_kept || !pause(course.after, until).await {
            return cut_off();
        }
        let foreign = self.another_message(control_id);
        let answer = match envelope {
            // Without MSH there is nobody to answer to.
            None => cut_off(),
            Some(envelope) => self.reply(bytes, envelope, &course, verdict, foreign.as_deref()),
        };
        if let Reply::GoAway(back) = course.reply {
            self.leave(back);
        }
        self.show(Seen {
            at,
            direction: Direction::Received,
            message: bytes.to_vec(),
            answers: answer.frames.clone(),
            became: Some(became),
            fault: fault.cloned(),
        });
        answer
    }

    fn judge(&self, bytes: &[u8], course: &Course, fault: Option<&Fault>) -> Verdict {
        let (at, note) = (self.now(), fault.map(Fault::to_string));
        if course.is_filed {
            let judgement: Judgement = self.change(|state| state.record.receive(bytes, at, note));
            return Verdict { code: judgement.code(), errors: judgement.errors(), became: judgement.became };
        }
        self.change(|state| state.record.ignore(bytes, at, note.unwrap_or_default()));
        let (code, error) = match course.reply {
            Reply::Refuse { code, error } => (code, error),
            _ => (AckCode::AE, None),
        };
        let text = Some("refused on purpose by a pretend EPR");
        let errors = error.map(|code| AckError { code, location: None, text }).into_iter().collect();
        Verdict { code, errors, became: Became::Ignored }
    }

    fn reply(
        self: &Arc<Self>,
        bytes: &[u8],
        envelope: &Envelope,
        course: &Course,
        verdict: Verdict,
        foreign: Option<&str>,
    ) -> Answer {
        let asked = || Style::asked_by(envelope, self.settings.application_ack_after);
        let write = |other: Option<&str>, code, errors: &[AckError<'_>]| {
            let time = self.now().to_zoned(self.settings.time_zone.clone());
            acknowledgement(bytes, other, code, errors, &self.next_control_id(), &time).unwrap_or_default()
        };
        let style = match course.reply {
            // The code of a refusal says its mode.
            Reply::Refuse { .. } => Style::Original,
            _ => course.style.unwrap_or_else(asked),
        };
        let Style::Enhanced { accept, application, after } = style else {
            return course.reply.dress(|other| write(other, verdict.code, &verdict.errors), foreign);
        };
        let commit = commit_code(verdict.code);
        let is_late_wanted = commit == AckCode::CA && application.wants(verdict.code.is_positive());
        if is_late_wanted && !matches!(course.reply, Reply::Nothing | Reply::Close) {
            self.acknowledge_later(write(None, verdict.code, &verdict.errors), after);
        }
        if !accept.wants(commit.is_positive()) {
            return Answer::silence();
        }
        let errors = if commit.is_positive() { &[][..] } else { &verdict.errors };
        course.reply.dress(|other| write(other, commit, errors), foreign)
    }

    fn acknowledge_later(self: &Arc<Self>, ack: Vec<u8>, after: Duration) {
        let inner = self.clone();
        self.running.spawn(async move {
            let Some(partner) = &inner.partner else {
                tracing::warn!("an application acknowledgement has nowhere to go: no partner is configured");
                return;
            };
            if !pause(after, &inner.stop).await || !late::deliver(&partner.late, &ack, &inner.stop).await {
                return;
            }
            let at = inner.now();
            inner.show(Seen {
                at,
                direction: Direction::Sent,
                message: ack,
                answers: vec![],
                became: None,
                fault: None,
            });
        });
    }

    /// The control id of another message in hand, else of the one answered last.
    fn another_message(&self, control_id: &str) -> Option<String> {
        let state = self.state();
        let other = state.in_hand.iter().find(|id| *id != control_id).cloned();
        other.or_else(|| state.last_answered.clone().filter(|id| id != control_id))
    }
}

/// A message that is being answered; given back also when its listener was stopped in the middle of that.
struct InHand<'a> {
    inner: &'a Inner,
    control_id: &'a str,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some(place) = state.in_hand.iter().position(|id| id == self.control_id) {
            state.in_hand.swap_remove(place);
        }
        state.last_answered = Some(self.control_id.to_owned());
    }
}

/// Waits; `false` when it was told to stop meanwhile.
async fn pause(time: Duration, until: &CancellationToken) -> bool {
    if time.is_zero() {
        return true;
    }
    tokio::select! {
        () = until.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
