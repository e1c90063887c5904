//! A running bridge, as commands reach it: by gRPC, like any other caller.

use super::failure::Failure;
use crate::app::SystemEntropy;
use crate::domain::ambient::Entropy;
use crate::transport::tls::install_crypto_provider;
use crate::wire::v1;
use clap::Args;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// For name, connection and TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one call; a stream may last longer.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A page of clinical text can be large: 64 MiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which bridge, and who we are to it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bridge")]
pub struct Server {
    /// Address of the running bridge.
    #[arg(
        long,
        env = "IPS_BRIDGE_SERVER",
        default_value = "http://127.0.0.1:50051",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub server: String,
    /// Whose certificates are believed (PEM). Required with https.
    #[arg(long, env = "IPS_BRIDGE_CA", hide_env_values = true, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// Our own certificate (PEM): it says who is asking.
    #[arg(long, env = "IPS_BRIDGE_CERT", hide_env_values = true, value_name = "FILE", requires = "key", global = true)]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, env = "IPS_BRIDGE_KEY", hide_env_values = true, value_name = "FILE", requires = "cert", global = true)]
    pub key: Option<PathBuf>,
}

impl Server {
    /// One on this machine, without TLS.
    pub fn plain(address: impl Display) -> Self {
        Self { server: format!("http://{address}"), ca: None, cert: None, key: None }
    }

    /// With a scheme: https where there is something to check it with.
    fn url(&self) -> String {
        match self.server.contains("://") {
            true => self.server.clone(),
            false if self.ca.is_some() => format!("https://{}", self.server),
            false => format!("http://{}", self.server),
        }
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let url = self.url();
        let bad = |e: &dyn Display| {
            Failure::Usage(format!("--server {url} cannot be used: {e}; write e.g. http://127.0.0.1:50051"))
        };
        let endpoint = Endpoint::from_shared(url.clone()).map_err(|e| bad(&e))?;
        if endpoint.uri().host().is_none() {
            return Err(bad(&"it names no host"));
        }
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
        if !url.starts_with("https://") {
            return match self.ca.is_some() || self.cert.is_some() {
                true => Err(bad(&"it has no TLS, and a certificate was given")),
                false => Ok(endpoint),
            };
        }
        let Some(ca) = &self.ca else {
            return Err(Failure::Usage(
                "https needs --ca (or IPS_BRIDGE_CA): the machine's own list is never used".into(),
            ));
        };
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        install_crypto_provider();
        endpoint.tls_config(tls).map_err(|e| Failure::Usage(format!("the certificates cannot be used: {}", causes(&e))))
    }

    pub async fn connect(&self) -> Result<Bridge, Failure> {
        let endpoint = self.endpoint()?;
        let channel = endpoint.connect().await.map_err(|e| {
            let what = format!("no bridge answers at {}: {}", self.url(), causes(&e));
            Failure::Unreachable(format!("{what}\n  try   is it running? `ips-bridge serve` prints where it listens; --server or IPS_BRIDGE_SERVER names it"))
        })?;
        Ok(Bridge { channel })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|e| Failure::Usage(format!("{} cannot be read: {e}", file.display())))
}

/// An error and what lies under it, once each.
pub fn causes(e: &dyn std::error::Error) -> String {
    let mut said = vec![e.to_string()];
    let mut next = e.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.iter().any(|s| s.contains(&text)) {
            said.push(text);
        }
        next = cause.source();
    }
    said.join(": ")
}

/// A connection to it. Clones share the connection.
#[derive(Clone)]
pub struct Bridge {
    channel: Channel,
}

macro_rules! services {
    ($($name:ident: $module:ident :: $client:ident),+ $(,)?) => {$(
        pub fn $name(&self) -> v1::$module::$client<Channel> {
            v1::$module::$client::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
        }
    )+};
}

impl Bridge {
    services! {
        deliveries: delivery_service_client::DeliveryServiceClient,
        referrals: referral_service_client::ReferralServiceClient,
        notes: progress_note_service_client::ProgressNoteServiceClient,
        outcomes: outcome_service_client::OutcomeServiceClient,
        patients: patient_service_client::PatientServiceClient,
        adapters: adapter_service_client::AdapterServiceClient,
        inbound: inbound_service_client::InboundServiceClient,
    }
}

/// A new request id: the same call repeated by the network is carried out once.
pub fn request_id() -> String {
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(server: &Server) -> String {
        server.endpoint().err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_address_without_scheme_is_plain_unless_a_ca_is_given() {
        let mut server = Server { server: "127.0.0.1:50051".into(), ..Server::plain("x") };
        assert_eq!(server.url(), "http://127.0.0.1:50051");
        server.ca = Some("ca.pem".into());
        assert_eq!(server.url(), "https://127.0.0.1:50051");
    }

    #[test]
    fn https_without_a_ca_and_a_certificate_without_tls_are_refused() {
        let https = Server { server: "https://bridge:1".into(), ..Server::plain("x") };
        assert!(fault(&https).contains("needs --ca"));
        let odd = Server { cert: Some("c".into()), key: Some("k".into()), ..Server::plain("127.0.0.1:1") };
        assert!(fault(&odd).contains("no TLS"));
    }

    #[test]
    fn request_ids_are_uuids_and_never_the_same() {
        let (a, b) = (request_id(), request_id());
        assert!(uuid::Uuid::parse_str(&a).is_ok());
        assert_ne!(a, b);
    }
}
