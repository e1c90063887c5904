//! The way out that an endpoint's config asks for.

use super::tls;
use crate::config::{Endpoint, Folder, Mllp, Transport};
use crate::transport::folder;
use crate::transport::mllp::{ClientSettings, Pool};
use crate::transport::tls::CertificateFacts;
use crate::transport::{Sender, Stray};
use std::time::Duration;
use tokio::sync::mpsc;

/// Idle connections are closed after this; engines on the other side close theirs sooner or later anyway.
const IDLE: Duration = Duration::from_secs(300);
/// What arrives outside an exchange and waits to be kept.
const STRAYS_WAITING_MAX: usize = 64;

/// A way out, what arrives on it unasked, and the certificates it shows.
pub struct WayOut {
    pub sender: Sender,
    pub strays: mpsc::Receiver<Stray>,
    pub certificates: Vec<CertificateFacts>,
}

/// Connects to nothing yet.
///
/// # Errors
/// A sentence: certificates or keys that cannot be used.
pub fn way_out(endpoint: &Endpoint) -> Result<WayOut, String> {
    match &endpoint.transport {
        Transport::Mllp(mllp) => over_mllp(mllp),
        Transport::Folder(folder) => Ok(into_folder(folder)),
    }
}

fn over_mllp(mllp: &Mllp) -> Result<WayOut, String> {
    let tls = mllp.tls.as_ref().map(tls::client).transpose().map_err(|e| format!("TLS: {e}"))?;
    let certificates = tls.as_ref().map(|t| t.certificates()).unwrap_or_default();
    let settings = ClientSettings {
        address: mllp.address.to_string(),
        tls,
        max_connections: mllp.max_connections as usize,
        connect_timeout: mllp.connect_timeout,
        send_timeout: mllp.send_timeout,
        reply_timeout: mllp.reply_timeout,
        idle_timeout: IDLE,
        max_frame_bytes: mllp.max_frame_bytes,
        late_replies_on_connection: mllp.late_replies_on_connection,
    };
    let (keeper, strays) = mpsc::channel(STRAYS_WAITING_MAX);
    Ok(WayOut { sender: Sender::Mllp(Pool::new(settings, keeper)), strays, certificates })
}

fn into_folder(folder: &Folder) -> WayOut {
    let settings = folder::FolderSettings {
        path: folder.path.clone(),
        file_mode: folder.file_mode,
        write_timeout: folder.write_timeout,
    };
    // Nothing comes unasked.
    let (_, strays) = mpsc::channel(1);
    WayOut { sender: Sender::Folder(folder::Folder::new(settings)), strays, certificates: Vec::new() }
}
