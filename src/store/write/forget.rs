//! What need not be remembered any longer: request ids once no client tries again, the bytes of messages that were not for us. Found by
//! [`crate::store::forget`], some at a time: nobody waits long behind it.

use super::super::error::WriteError;
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use crate::domain::ids::InboundId;

#[derive(Debug, Clone)]
pub(in crate::store) enum Forget {
    Requests(Vec<Vec<u8>>),
    /// The bytes; the rows stay.
    Ignored(Vec<InboundId>),
}

impl Write for Forget {
    type Answer = ();

    fn needs(&self, _view: &View, _keys: &mut Keys) {}

    fn decide(&mut self, view: &mut View, _ctx: &Ctx<'_>) -> Result<(), WriteError> {
        view.forget.push(self.clone());
        Ok(())
    }
}
