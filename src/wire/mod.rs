//! The generated types of `proto/ips/v1` and their JSON. No logic: a leaf.

mod timestamp;

pub use timestamp::Timestamp;

/// A count as messages hold it: int32, so that in JSON it is a number and no string. Above 2,147,483,647 it stays there.
pub fn count(n: impl TryInto<i32>) -> i32 {
    n.try_into().unwrap_or(i32::MAX)
}

/// `proto/ips/v1`.
#[expect(clippy::all, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("ips.v1");
    include!(concat!(env!("OUT_DIR"), "/ips.v1.serde.rs"));
    include!(concat!(env!("OUT_DIR"), "/redacting_debug.rs"));
}

/// What reflection serves: every file with its comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
