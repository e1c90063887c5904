//! Places that are a test's own: folders and loopback addresses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// A new folder, gone when the value is dropped.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new().prefix("ips-test-").tempdir().expect("a folder can be made under the temporary folder")
}

/// An address on loopback where nothing listens now. Bind port 0 yourself where you can; this is for what must be written into a config first, or for an EPR
/// that is away. Below the ports from which a system connects: one of those may be taken by the connection of another test before it is listened
/// on. Each test process has a hundred of its own to begin with.
pub fn free_addr() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    let port =
        || 20_000 + u16::try_from(first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000).expect("few");
    let listener =
        std::iter::repeat_with(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port()))).take(1_000).find_map(Result::ok);
    listener.expect("loopback gives a port").local_addr().expect("a bound socket has an address")
}
