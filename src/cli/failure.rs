//! Why a command did not do what it was asked to, and the exit code a script sees.

use super::refusal::Refusal;
use std::io;
use std::process::ExitCode;

/// What stands under `ips-bridge help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something was refused, failed, or is not as it should be
  2  the command line or the configuration cannot be used
  3  the bridge cannot be reached";

/// Shown as one or more lines on stderr. Never holds patient data.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 1: the bridge, a pack or a check said no.
    #[error("{0}")]
    Refused(String),
    /// 1, or 2 where the command line was at fault: the bridge said no, and why.
    #[error("{0}")]
    Said(Box<Refusal>),
    /// 1, and what there is to say stands in the output already.
    #[error("")]
    Told,
    /// 2: nothing was tried.
    #[error("{0}")]
    Usage(String),
    /// 3: nobody answered.
    #[error("{0}")]
    Unreachable(String),
    /// 1; a reader that went away (`| head`) is no failure.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Said(refusal) if refusal.is_not_found())
    }

    /// With what it is about in front, where the bridge could not know what was typed.
    pub fn of(self, what: &str) -> Self {
        match self {
            Self::Said(refusal) => Self::Said(Box::new(refusal.of(what))),
            other => other,
        }
    }

    pub fn code(&self) -> u8 {
        match self {
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Refused(_) | Self::Told | Self::Output(_) => 1,
            Self::Said(refusal) if refusal.is_usage() => 2,
            Self::Said(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code())
    }
}
