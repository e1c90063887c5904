//! Why a message cannot be made. Travels inside minijinja's errors as their source, so that nothing has to be read out of
//! an error's text; never holds a value.

/// A filter or the printing of a value stops the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The pack is wrong for this input.
    #[error("{what}")]
    Fault { what: String, hint: String },
    /// Something the endpoint cannot carry whole.
    #[error("{0}")]
    NotCarriable(String),
    /// Longer than what fits, in characters.
    #[error("longer than {0} characters")]
    TooLong(usize),
    /// The pack needs the EPR's own id of the author.
    #[error("no staff id of the EPR")]
    NoStaffId,
}

impl Stop {
    pub fn fault(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Fault { what: what.into(), hint: hint.into() }
    }
}

impl From<Stop> for minijinja::Error {
    fn from(stop: Stop) -> Self {
        Self::new(minijinja::ErrorKind::InvalidOperation, "stopped").with_source(stop)
    }
}
