//! A pretend EPR over MLLP that keeps a clinical record one can look at, copies counted: the far end of our tests and of
//! the demonstration. It shares no code with the outbox or the packs, so it cannot make the same mistake twice.
//!
//! [`Record`] says what is in the record and why (pure); [`Simulator`] puts it behind a listener, disturbed by
//! [`Faults`]; [`messages`] are the EPR's own; [`show()`] prints the record for people; [`control`] runs it from a
//! command line. Everything it holds is meant to be made-up data: it prints and saves what it is given.

mod answer;
pub mod control;
mod desk;
pub mod faults;
mod keep;
mod late;
mod listening;
pub mod messages;
pub mod record;
mod server;
mod show;

pub use faults::{Fault, Faults};
pub use record::{Record, RecordSettings};
pub use server::{Direction, Now, Seen, SendFailure, Settings, Simulator, SimulatorError};
pub use show::{Show, show};
