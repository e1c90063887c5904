//! Bytes out and in; knows nothing clinical.
