//! IPS Bridge: write it once; it lands in the clinical record; you can see that it did.

pub mod adapter;
pub mod domain;
pub mod transport;
pub mod verdict;
pub mod wire;
