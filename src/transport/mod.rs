//! Bytes out and in; knows nothing clinical.

pub mod mllp;
