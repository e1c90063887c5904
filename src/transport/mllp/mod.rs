//! MLLP release 1 over TCP, plain or TLS: a pool that sends and a listener that receives.

mod client;
mod exchange;
pub mod frame;
mod idle;
mod link;
mod listener;
mod room;
mod serve;
mod strays;

pub use client::{ClientSettings, Connection, Pool};
pub use exchange::Matches;
pub use listener::{Answer, Listener, ListenerSettings, Received, Then};

/// Default for the most payload bytes in one frame: 4 MiB.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
