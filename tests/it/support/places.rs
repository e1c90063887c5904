//! Places that are a test's own: folders and loopback addresses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use tempfile::TempDir;

/// A new folder, gone when the value is dropped.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new().prefix("ips-test-").tempdir().expect("a folder can be made under the temporary folder")
}

/// An address on loopback where nothing listens now. Bind port 0 yourself where you can; this is for what must be written
/// into a config first, or for an EPR that is away.
pub fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback gives a port");
    listener.local_addr().expect("a bound socket has an address")
}
