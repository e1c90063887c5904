//! The words of the field, every rule about them, and the one decision that moves a delivery. No I/O, no async, no clock.

pub mod accept;
pub mod ambient;
pub mod ask;
pub mod chain;
pub mod change;
pub mod decide;
pub mod delivery;
pub mod entry;
pub mod hold;
pub mod ids;
pub mod likeness;
pub mod measure;
pub mod merge;
pub mod nhs_number;
pub mod note;
pub mod organisation;
pub mod outcome;
pub mod person;
pub mod policy;
pub mod reconcile;
pub mod referral;
pub mod route;
pub mod rule;
pub mod standing;
pub mod text;
pub mod verdict;
