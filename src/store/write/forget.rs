//! What need not be remembered any longer: request ids once no client tries again, the bytes of messages that were not for us.

use super::super::error::WriteError;
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;

#[derive(Debug, Clone)]
pub enum Forget {
    /// Request ids that were answered before that.
    Requests { before: Timestamp },
    /// The bytes of what was not for us and came before that; the rows stay, and what was only late stays whole.
    Ignored { endpoint: EndpointId, before: Timestamp },
}

impl Write for Forget {
    type Answer = ();

    fn needs(&self, _view: &View, _keys: &mut Keys) {}

    fn decide(&mut self, view: &mut View, _ctx: &Ctx<'_>) -> Result<(), WriteError> {
        view.forget.push(self.clone());
        Ok(())
    }
}
