//! The store's contract: each promise a test of its own, run on SQLite and on PostgreSQL.

mod accepting;
mod append_only;
mod bridge;
mod chains;
mod conflicts;
mod consent;
mod crash;
mod evidence;
mod feed;
mod gate;
mod in_force;
mod lanes;
mod leases;
mod lists;
mod merges;
mod names;
mod opening;
mod packs;
mod people;
mod property;
pub mod raw;
mod reports;
mod refusing;
mod restored;
mod rules;
mod said;
mod scope;
mod silence;
mod texts;
mod trouble;
mod waits;

use bridge::{Bridge, Sent, both};
use rules::*;
