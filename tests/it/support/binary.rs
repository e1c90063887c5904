//! Our own binary, run as people run it.

use super::{free_addr, temp_dir, wait_until};
use ips_bridge::wire::v1::delivery_service_client::DeliveryServiceClient;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A command line that nothing in the environment bends.
pub fn ips_bridge(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ips-bridge"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).env("NO_COLOR", "1");
    for name in
        ["IPS_BRIDGE_CONFIG", "IPS_BRIDGE_SERVER", "IPS_BRIDGE_CA", "IPS_BRIDGE_CERT", "IPS_BRIDGE_KEY", "RUST_LOG"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Ended {
    Ended::of(ips_bridge(args).output().expect("our binary starts"))
}

/// How it ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON ({e}):\n{}", self.out))
    }
}

/// `serve` as a process, with a store and a configuration of its own. Killed when dropped.
pub struct Serving {
    child: Child,
    pub grpc: SocketAddr,
    /// Where the EPR sends to.
    pub inbound: SocketAddr,
    folder: TempDir,
}

impl Serving {
    /// One trust RZ9, one endpoint `rz9-epr` at this address.
    pub async fn start(epr: SocketAddr) -> Self {
        Self::start_with(&[], epr, |_| {}).await
    }

    /// Started by another program, which becomes it: `["nohup"]`.
    pub async fn start_under(starter: &[&str], epr: SocketAddr) -> Self {
        Self::start_with(starter, epr, |_| {}).await
    }

    /// The same as [`Self::start`], with whatever `change` does to the command line.
    pub async fn start_as(epr: SocketAddr, change: impl FnOnce(&mut Command)) -> Self {
        Self::start_with(&[], epr, change).await
    }

    async fn start_with(starter: &[&str], epr: SocketAddr, change: impl FnOnce(&mut Command)) -> Self {
        let (grpc, inbound, folder) = (free_addr(), free_addr(), temp_dir());
        let config = folder.path().join("bridge.toml");
        let store = folder.path().join("record.db");
        std::fs::write(&config, text(grpc, inbound, epr, &store.display().to_string())).expect("the test's own folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("the test's own folder");
        let mut command = match starter {
            [] => ips_bridge(&["serve", "--config"]),
            [first, more @ ..] => {
                let ours = ips_bridge(&["serve", "--config"]);
                let mut command = Command::new(first);
                command.args(more).arg(ours.get_program()).args(ours.get_args()).stdin(Stdio::null());
                command.current_dir(env!("CARGO_MANIFEST_DIR")).env("NO_COLOR", "1").env_remove("RUST_LOG");
                command
            }
        };
        command.arg(&config).stdout(Stdio::null()).stderr(log);
        change(&mut command);
        let child = command.spawn().expect("our binary starts");
        let serving = Self { child, grpc, inbound, folder };
        let url = serving.url();
        wait_until(Duration::from_secs(20), "the bridge to answer", async || {
            DeliveryServiceClient::connect(url.clone()).await.is_ok()
        })
        .await;
        serving
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("bridge.toml")
    }

    /// Runs a command against it.
    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(ips_bridge(args).env("IPS_BRIDGE_SERVER", self.url()).output().expect("our binary starts"))
    }

    /// The record's URL, for a look behind the bridge's back.
    pub fn store(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("record.db").display())
    }

    /// Its pipes and its id.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// SIGTERM, and how it ended.
    pub fn stop(self) -> Option<i32> {
        self.stop_by("TERM").0
    }

    /// A signal that ends it: with which exit code, and what it logged.
    pub fn stop_by(mut self, name: &str) -> (Option<i32>, String) {
        self.send(name);
        let code = self.child.wait().ok().and_then(|status| status.code());
        (code, std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }

    /// Sends it a signal.
    pub fn send(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// SQLite's file.
    pub fn record(&self) -> PathBuf {
        self.folder.path().join("record.db")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(sent.is_ok_and(|s| s.success()), "kill -{name} {id}");
}

fn text(grpc: SocketAddr, inbound: SocketAddr, epr: SocketAddr, store: &str) -> String {
    format!(
        r#"
[server]
listen = "{grpc}"
development_principal = true
[store]
url = "sqlite://{store}"
[packs]
folder = "{root}/adapters"
[limits]
min_free_disk_bytes = 0
[[trust]]
ods = "RZ9"
name = "Test Trust"
teams = [{{ id = "moor-north", name = "Moorland North IPS" }}]
[[endpoint]]
id = "rz9-epr"
trust = "RZ9"
name = "RiO"
adapter = "hl7v2-uk"
transport = "mllp"
environment = "test"
filed_by = "application_ack"
acknowledged_by = "record"
after_unknown = "resend"
max_unknown_resends = 5
control_id_prefix = "TST"
back_off = {{ first = "100ms", cap = "500ms" }}
probe = {{ first = "100ms", cap = "500ms" }}
[endpoint.mllp]
address = "{epr}"
reply_timeout = "10s"
[endpoint.listen]
address = "{inbound}"
default_team = "moor-north"
[endpoint.settings]
sending_facility = "RZ9"
receiving_application = "EPR"
receiving_facility = "RZ9"
withdraw_as = "T11"
[[route]]
trust = "RZ9"
endpoint = "rz9-epr"
"#,
        root = env!("CARGO_MANIFEST_DIR")
    )
}
