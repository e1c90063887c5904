//! IPS Bridge: write it once; it lands in the clinical record; you can see that it did.
//!
//! 1. [`api`] takes a call and says at once everything that is wrong with it.
//! 2. [`domain`] decides what may be, without any I/O.
//! 3. [`store`] keeps it: one commit, then the answer.
//! 4. [`outbox`] takes what is to go, patient by patient and in order.
//! 5. [`adapter`] makes the message that the trust's record takes, by a pack.
//! 6. [`transport`] carries it, and says what left and what came back.
//! 7. [`verdict`] reads the reply; [`domain::decide`] makes of that what the delivery is now.
//! 8. [`status`] tells people in a sentence.
//! 9. [`inbound`] takes what the record tells: referrals, patients, late acknowledgements.
//!
//! Around them: [`wire`] is the protocol, [`config`] what a trust decides, [`simulator`] a pretend EPR, [`app`] puts it together, [`cli`] is its face.

pub mod api;
pub mod domain;
pub mod store;
pub mod outbox;
pub mod adapter;
pub mod transport;
pub mod verdict;
pub mod status;
pub mod inbound;
pub mod wire;
pub mod config;
pub mod simulator;
pub mod app;
pub mod cli;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;
