//! Reads of a patient's data leave their mark before the data leaves the bridge.

use super::super::error::WriteError;
use super::super::record::Audit;
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};

pub struct ReadAudit(pub Vec<Audit>);

impl Write for ReadAudit {
    type Answer = ();

    fn needs(&self, _view: &View, _keys: &mut Keys) {}

    fn decide(&mut self, view: &mut View, _ctx: &Ctx<'_>) -> Result<(), WriteError> {
        view.audits.extend_from_slice(&self.0);
        Ok(())
    }
}
