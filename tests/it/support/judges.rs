//! The messages and judges that others wrote. Only tests whose name contains `interop` come here; `make interop` runs them.

use super::temp_dir;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The folder with `corpus/` and `validators/`.
pub fn shared() -> PathBuf {
    PathBuf::from(named_by("IPS_SHARED"))
}

/// Shows messages to every HL7 v2 judge. The error holds one line for each judge and message that was refused.
pub fn hl7_judges<M: AsRef<[u8]>>(messages: &[M]) -> Result<(), String> {
    let folder = temp_dir();
    let files: Vec<PathBuf> = (0..messages.len()).map(|i| folder.path().join(format!("{i}.hl7"))).collect();
    for (file, message) in files.iter().zip(messages) {
        std::fs::write(file, message).expect("the test's own folder can be written to");
    }
    let python = Path::new(&named_by("VAL_DIR")).join("venv/bin/python");
    let script = shared().join("validators/hl7_validate.py");
    let judged = Command::new(&python).arg(&script).arg("-q").args(&files).output();
    let judged = judged.unwrap_or_else(|e| panic!("cannot start {}: {e}; run `make interop`", python.display()));
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    match judged.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(said),
        // A judge that broke down has judged nothing.
        _ => panic!("the judges broke off: {said}{}", String::from_utf8_lossy(&judged.stderr)),
    }
}

/// Shows FHIR R4 resources to every judge, base R4 and UK Core. The error holds one line for each judge and resource that was refused.
pub fn fhir_judges(resources: &[Vec<u8>]) -> Result<(), String> {
    let folder = temp_dir();
    let files: Vec<PathBuf> = (0..resources.len()).map(|i| folder.path().join(format!("{i}.json"))).collect();
    for (file, resource) in files.iter().zip(resources) {
        std::fs::write(file, resource).expect("the test's own folder can be written to");
    }
    for profiles in [&["--ukcore"][..], &[]] {
        let mut judge = Command::new("node");
        judge.arg(shared().join("validators/fhir_validate.cjs")).arg("-q").args(profiles).args(&files);
        let judged = judge.env("VAL_DIR", named_by("VAL_DIR")).output();
        let judged = judged.unwrap_or_else(|e| panic!("cannot start node: {e}; run `make interop`"));
        let said = String::from_utf8_lossy(&judged.stdout).into_owned();
        match judged.status.code() {
            Some(0) => {}
            Some(1) => return Err(said),
            // A judge that broke down has judged nothing.
            _ => panic!("the judges broke off: {said}{}", String::from_utf8_lossy(&judged.stderr)),
        }
    }
    Ok(())
}

/// A FHIR server that others wrote, which judges every write; it ends with this value.
pub struct FhirReceiver {
    process: Child,
    /// Where its base address is: `/fhir/R4` on this port of loopback.
    pub port: u16,
}

impl FhirReceiver {
    pub fn start() -> Self {
        let script = shared().join("validators/fhir_receiver.cjs");
        let mut command = Command::new("node");
        command.arg(script).args(["--seconds", "240"]).env("VAL_DIR", named_by("VAL_DIR"));
        let mut process = command.stdout(Stdio::piped()).spawn().expect("node starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        std::io::BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let port = line.trim().rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse().ok());
        Self { process, port: port.unwrap_or_else(|| panic!("no port in {line:?}")) }
    }
}

impl Drop for FhirReceiver {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn named_by(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set, and this test needs what others wrote: run `make interop`"))
}

/// NHS England's own MESH sandbox with full authentication; it ends with this value.
pub struct MeshSandbox {
    process: Child,
    pub url: String,
    /// Where it runs and writes.
    _folder: tempfile::TempDir,
}

impl MeshSandbox {
    pub async fn start() -> Self {
        let (folder, address) = (temp_dir(), super::free_addr());
        let log = std::fs::File::create(folder.path().join("log")).expect("the test's own folder");
        let mut command = Command::new(python());
        command.args(["-m", "uvicorn", "mesh_sandbox.api:app", "--host", "127.0.0.1", "--log-level", "warning"]);
        command.arg("--port").arg(address.port().to_string()).current_dir(folder.path());
        // Without a store it answers 202 and forgets the message.
        for (name, value) in
            [("AUTH_MODE", "full"), ("STORE_MODE", "memory"), ("SHARED_KEY", "TestKey"), ("ENV", "local")]
        {
            command.env(name, value);
        }
        let stderr = log.try_clone().expect("a file handle");
        let process = command.stdout(log).stderr(stderr).spawn().expect("the sandbox starts; run `make interop`");
        let sandbox = Self { process, url: format!("http://{address}"), _folder: folder };
        super::wait_until(std::time::Duration::from_secs(60), "the sandbox listens", async || {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
        sandbox
    }

    /// Runs Python with NHS England's own client beside the sandbox; what it prints. Arguments begin with the sandbox's address.
    pub fn python(&self, script: &str, arguments: &[&str]) -> String {
        let ran = Command::new(python()).arg("-c").arg(script).arg(&self.url).args(arguments).output();
        let ran = ran.expect("python runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("UTF-8")
    }
}

impl Drop for MeshSandbox {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn python() -> PathBuf {
    Path::new(&named_by("VAL_DIR")).join("venv/bin/python")
}

/// An HL7 library of another ecosystem, at the far end.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    Medplum,
    SimpleHl7,
    PythonHl7,
}

/// One of them that listens; it ends with this value.
pub struct Listening {
    process: Child,
    heard: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Peer {
    pub const ALL: [Self; 3] = [Self::Medplum, Self::SimpleHl7, Self::PythonHl7];

    fn command(self) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/interop/peers");
        let (mut command, script) = match self {
            Self::Medplum => (Command::new("node"), "medplum.cjs"),
            Self::SimpleHl7 => (Command::new("node"), "simple_hl7.cjs"),
            Self::PythonHl7 => (Command::new(python()), "python_hl7.py"),
        };
        command.arg(folder.join(script)).env("PEERS", Path::new(&named_by("VAL_DIR")).join("peers"));
        command
    }

    pub async fn listen(self, at: SocketAddr) -> Listening {
        let mut command = self.command();
        let spawned = command.args(["listen", &at.port().to_string()]).stdout(Stdio::piped()).spawn();
        let mut process = spawned.expect("it starts; run `make interop`");
        let lines = std::io::BufReader::new(process.stdout.take().expect("piped")).lines();
        let heard: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
        let keep = heard.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line) {
                    keep.lock().expect("nobody panics here").push(value);
                }
            }
        });
        super::wait_until(Duration::from_secs(30), "the peer listens", async || {
            tokio::net::TcpStream::connect(at).await.is_ok()
        })
        .await;
        Listening { process, heard }
    }

    /// What the file's message is answered, as this client reads it.
    pub fn send(self, to: SocketAddr, file: &Path) -> serde_json::Value {
        let sent = self.command().args(["send", &to.port().to_string()]).arg(file).output();
        let sent = sent.expect("it starts; run `make interop`");
        let said = String::from_utf8_lossy(&sent.stdout).into_owned();
        serde_json::from_str(said.trim())
            .unwrap_or_else(|_| panic!("{self:?}: {said}{}", String::from_utf8_lossy(&sent.stderr)))
    }
}

impl Listening {
    /// What it has read, once there is so much.
    pub async fn heard(&self, count: usize) -> Vec<serde_json::Value> {
        super::wait_until(Duration::from_secs(10), "the peer has read it", async || {
            self.heard.lock().expect("nobody panics here").len() >= count
        })
        .await;
        self.heard.lock().expect("nobody panics here").clone()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
