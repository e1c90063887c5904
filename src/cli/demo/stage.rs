//! Where the demonstration takes place: a temporary folder, free addresses on loopback, a configuration.

use crate::cli::config_file;
use crate::cli::failure::Failure;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The made-up trust.
pub const TRUST: &str = "RZ9";
pub const TEAM: &str = "moor-north";
pub const ENDPOINT: &str = "rz9-epr";

/// Gone with its folder when dropped.
pub struct Stage {
    folder: TempDir,
    adapters: PathBuf,
    /// Where the bridge listens for gRPC.
    pub grpc: SocketAddr,
    /// Where the bridge listens for the EPR.
    pub inbound: SocketAddr,
}

impl Stage {
    pub fn lay_out() -> Result<Self, Failure> {
        let Some(adapters) = config_file::adapters() else {
            let what = "the folder adapters/ with hl7v2-uk in it was not found; start the demonstration in the project's folder";
            return Err(Failure::Usage(what.into()));
        };
        let folder = tempfile::Builder::new().prefix("ips-bridge-demo-").tempdir();
        let folder = folder.map_err(|e| Failure::Refused(format!("cannot make a temporary folder: {e}")))?;
        let (grpc, inbound) = free_addresses().map_err(|e| Failure::Refused(format!("loopback gives no port: {e}")))?;
        Ok(Self { folder, adapters, grpc, inbound })
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("bridge.toml")
    }

    /// What the bridge says while it runs.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("bridge.log")
    }

    /// Writes the configuration, once it is known where the EPR listens.
    pub fn write_config(&self, epr: SocketAddr) -> Result<(), Failure> {
        std::fs::write(self.config_file(), self.config(epr))
            .map_err(|e| Failure::Refused(format!("cannot write the configuration: {e}")))
    }

    /// One trust, one endpoint. What a real trust would set otherwise stands in config/example.toml.
    fn config(&self, epr: SocketAddr) -> String {
        let store = format!("sqlite://{}", self.folder.path().join("record.db").display());
        let (store, adapters) = (quoted(&store), quoted_path(&self.adapters));
        let (grpc, inbound) = (self.grpc, self.inbound);
        format!(
            r#"# Made by `ips-bridge demo`.
[server]
listen = "{grpc}"
development_principal = true

[store]
url = {store}

[packs]
folder = {adapters}

[limits]
# A laptop that is nearly full can still show it.
min_free_disk_bytes = 10_485_760
shutdown_grace = "20s"

[[trust]]
ods = "{TRUST}"
name = "Moorland Partnership NHS Foundation Trust (invented)"
teams = [{{ id = "{TEAM}", name = "Moorland North IPS" }}]

[[endpoint]]
id = "{ENDPOINT}"
trust = "{TRUST}"
name = "the pretend EPR"
adapter = "hl7v2-uk"
transport = "mllp"
environment = "test"
filed_by = "application_ack"
acknowledged_by = "record"
after_unknown = "resend"
max_unknown_resends = 5
control_id_prefix = "DEMO"
# Impatient, so that an EPR that is back is noticed while you watch.
back_off = {{ first = "200ms", cap = "1s" }}
probe = {{ first = "200ms", cap = "1s" }}

[endpoint.mllp]
address = "{epr}"
max_connections = 2
connect_timeout = "2s"
send_timeout = "5s"
reply_timeout = "10s"

[endpoint.listen]
address = "{inbound}"
default_team = "{TEAM}"

[endpoint.settings]
sending_facility = "{TRUST}"
receiving_application = "EPR"
receiving_facility = "{TRUST}"
withdraw_as = "T11"

[[route]]
trust = "{TRUST}"
endpoint = "{ENDPOINT}"
"#
        )
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// Two addresses where nothing listens now. They are written into the configuration and must stay the same after a restart, so the
/// bridge cannot choose them itself.
fn free_addresses() -> std::io::Result<(SocketAddr, SocketAddr)> {
    let (a, b) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    Ok((a.local_addr()?, b.local_addr()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_has_no_fault_and_no_doubt() {
        let stage = Stage::lay_out().expect("a stage");
        let text = stage.config(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let config = Config::from_text(&text, Path::new("demo.toml"), []).expect("no fault");
        let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.is_empty(), "{warnings:#?}");
    }
}
