//! The words of the field, every rule about them, and the one decision that moves a delivery. No I/O, no async, no clock.

pub mod ambient;
pub mod ids;
pub mod nhs_number;
pub mod organisation;
pub mod policy;
pub mod route;
pub mod rule;
