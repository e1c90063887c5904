//! The way out that an endpoint's config asks for.

use super::login::PackLogin;
use super::tls;
use crate::adapter::InUse;
use crate::config::{Endpoint, Feed, Folder, Https, HttpsAuth, HttpsProof, HttpsToken, Mesh, Mllp, Transport, Url};
use crate::domain::ambient::{Clock, Entropy};
use crate::transport::https::{
    self, AssertionKey, Auth, Base, ClientProof, REPLY_BYTES_MAX, SessionSettings, TokenSettings,
};
use crate::transport::mllp::{ClientSettings, Pool};
use crate::transport::tls::{CertificateFacts, PemSource};
use crate::transport::{Sender, Stray};
use crate::transport::{feed, folder, mesh};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Idle connections are closed after this; engines on the other side close theirs sooner or later anyway.
const IDLE: Duration = Duration::from_secs(300);
/// Web servers keep unused connections for less time than engines do.
const HTTPS_IDLE: Duration = Duration::from_secs(45);
/// What arrives outside an exchange and waits to be kept.
const STRAYS_WAITING_MAX: usize = 64;

/// A way out, what arrives on it unasked, and the certificates it shows.
pub struct WayOut {
    pub sender: Sender,
    pub strays: mpsc::Receiver<Stray>,
    pub certificates: Vec<CertificateFacts>,
}

/// Connects to nothing yet. `in_use`: what the endpoint works with, where that is known; its pack says how to log in.
///
/// # Errors
/// A sentence: certificates or keys that cannot be used.
pub fn way_out(endpoint: &Endpoint, in_use: Option<&InUse>, ambient: &https::Ambient) -> Result<WayOut, String> {
    match &endpoint.transport {
        Transport::Mllp(mllp) => over_mllp(mllp, endpoint.evidence_overdue_after),
        Transport::Folder(folder) => Ok(into_folder(folder)),
        Transport::Https(https) => over_https(https, in_use, ambient),
        Transport::Feed(feed) => Ok(pulled(feed)),
        Transport::Mesh(mesh) => over_mesh(mesh, ambient),
    }
}

/// `late_within`: so long an answer may be late. Where it comes by the connection that the message left by, that stays open for it.
fn over_mllp(mllp: &Mllp, late_within: Duration) -> Result<WayOut, String> {
    let tls = mllp.tls.as_ref().map(tls::client).transpose().map_err(|e| format!("TLS: {e}"))?;
    let certificates = tls.as_ref().map(|t| t.certificates()).unwrap_or_default();
    let settings = ClientSettings {
        address: mllp.address.to_string(),
        tls,
        max_connections: mllp.max_connections as usize,
        connect_timeout: mllp.connect_timeout,
        send_timeout: mllp.send_timeout,
        reply_timeout: mllp.reply_timeout,
        idle_timeout: if mllp.late_replies_on_connection { IDLE.max(late_within) } else { IDLE },
        max_frame_bytes: mllp.max_frame_bytes,
        late_replies_on_connection: mllp.late_replies_on_connection,
    };
    let (keeper, strays) = mpsc::channel(STRAYS_WAITING_MAX);
    Ok(WayOut { sender: Sender::Mllp(Pool::new(settings, keeper)), strays, certificates })
}

/// Time and randomness as transports take them.
pub fn ambient(clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> https::Ambient {
    let (clock, entropy) = (clock.clone(), entropy.clone());
    https::Ambient { now: Arc::new(move || clock.now()), random: Arc::new(move |bytes| entropy.fill(bytes)) }
}

fn over_https(config: &Https, in_use: Option<&InUse>, ambient: &https::Ambient) -> Result<WayOut, String> {
    let tls = config.tls.as_ref().map(tls::client).transpose().map_err(|e| format!("TLS: {e}"))?;
    let mut certificates = tls.as_ref().map(|t| t.certificates()).unwrap_or_default();
    let auth = match &config.auth {
        HttpsAuth::Nothing => Auth::Nothing,
        HttpsAuth::Basic { user, password } => {
            Auth::Basic { user: user.clone(), password: password.expose().to_owned() }
        }
        HttpsAuth::Session { user, password, timeout } => match in_use {
            Some(in_use) => Auth::Session(SessionSettings {
                login: Arc::new(PackLogin { in_use: in_use.clone(), user: user.clone(), password: password.clone() }),
                timeout: *timeout,
            }),
            // Nothing will be sent: the endpoint's pack does not fit.
            None => Auth::Nothing,
        },
        HttpsAuth::Token(token) => {
            let own = token.tls.as_ref().map(tls::client).transpose().map_err(|e| format!("TLS for the token: {e}"))?;
            certificates.extend(own.iter().flat_map(|t| t.certificates()));
            Auth::Token(Box::new(token_settings(token, own.or_else(|| tls.clone()))?))
        }
    };
    let settings = https::ClientSettings {
        base: base(&config.base_url)?,
        tls: tls.filter(|_| config.base_url.is_tls()),
        auth,
        headers: config.headers.iter().map(|h| (h.name.clone(), h.value.expose().to_owned())).collect(),
        max_connections: config.max_connections as usize,
        connect_timeout: config.connect_timeout,
        send_timeout: config.send_timeout,
        reply_timeout: config.reply_timeout,
        idle_timeout: HTTPS_IDLE,
        max_request_bytes: config.max_body_bytes,
        max_reply_bytes: REPLY_BYTES_MAX.max(config.max_body_bytes),
        ambient: ambient.clone(),
    };
    // Nothing comes unasked over HTTP: the receiver ends at once.
    let (_, strays) = mpsc::channel(1);
    Ok(WayOut { sender: Sender::Https(https::Pool::new(settings)), strays, certificates })
}

fn over_mesh(config: &Mesh, ambient: &https::Ambient) -> Result<WayOut, String> {
    let tls = config.tls.as_ref().map(tls::client).transpose().map_err(|e| format!("TLS: {e}"))?;
    let certificates = tls.as_ref().map(|t| t.certificates()).unwrap_or_default();
    let settings = mesh::MeshSettings {
        base: base(&Url(format!("{}/messageexchange/{}", config.url.0.trim_end_matches('/'), config.mailbox)))?,
        tls: tls.filter(|_| config.url.is_tls()),
        mailbox: config.mailbox.clone(),
        keys: mesh::Keys {
            password: config.password.expose().to_owned(),
            shared_key: config.shared_key.expose().to_owned(),
        },
        to_mailbox: config.to_mailbox.clone(),
        workflow: config.workflow.clone(),
        // One more, so that looking into our mailbox never waits for what is being sent.
        max_connections: config.max_connections as usize + 1,
        connect_timeout: config.connect_timeout,
        send_timeout: config.send_timeout,
        reply_timeout: config.reply_timeout,
        message_timeout: config.message_timeout,
        chunk_bytes: config.chunk_bytes,
        chunk_tries: config.chunk_tries,
        max_message_bytes: config.max_message_bytes,
        inbox_page: config.inbox_page,
        inbox_max: config.inbox_max,
        handshake_every: config.handshake_every,
        ambient: ambient.clone(),
    };
    // What comes lies in our mailbox until it is fetched.
    let (_, strays) = mpsc::channel(1);
    Ok(WayOut { sender: Sender::Mesh(mesh::Client::new(settings)), strays, certificates })
}

fn base(url: &Url) -> Result<Base, String> {
    Base::parse(&url.0).map_err(|e| format!("{} {e}", url.0))
}

fn token_settings(
    token: &HttpsToken,
    tls: Option<Arc<crate::transport::tls::ClientTls>>,
) -> Result<TokenSettings, String> {
    let proof = match &token.proof {
        HttpsProof::Secret(secret) => ClientProof::Secret(secret.expose().to_owned()),
        HttpsProof::SignedJwt { private_key, key_id, audience } => {
            let pem = PemSource::Bytes(private_key.expose().as_bytes().to_vec());
            let key = AssertionKey::load(&pem, key_id.clone()).map_err(|e| format!("auth.private_key: {e}"))?;
            ClientProof::SignedJwt { key, audience: audience.clone() }
        }
    };
    Ok(TokenSettings {
        tls: tls.filter(|_| token.url.is_tls()),
        url: base(&token.url)?,
        client_id: token.client_id.clone(),
        proof,
        scope: token.scope.clone(),
        timeout: token.timeout,
    })
}

fn pulled(config: &Feed) -> WayOut {
    let settings = feed::FeedSettings {
        confirm_timeout: config.confirm_timeout,
        max_unconfirmed: config.max_unconfirmed as usize,
    };
    // Nothing comes unasked.
    let (_, strays) = mpsc::channel(1);
    WayOut { sender: Sender::Feed(feed::Feed::new(settings)), strays, certificates: Vec::new() }
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
