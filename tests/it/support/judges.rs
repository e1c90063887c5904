//! The messages and judges that others wrote. Only tests whose name contains `interop` come here; `make interop` runs them.

use super::temp_dir;
use std::path::{Path, PathBuf};
use std::process::Command;

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

fn named_by(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set, and this test needs what others wrote: run `make interop`"))
}
