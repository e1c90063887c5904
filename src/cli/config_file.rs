//! The configuration a command works with.

use super::failure::Failure;
use crate::config::{Config, Examined, Fault};
use std::path::{Path, PathBuf};

/// Where the configuration is, unless said otherwise.
pub const DEFAULT: &str = "config/ips-bridge.toml";

/// $IPS_BRIDGE_CONFIG, or [`DEFAULT`].
pub fn usual() -> PathBuf {
    std::env::var_os("IPS_BRIDGE_CONFIG")
        .filter(|file| !file.is_empty())
        .map_or_else(|| PathBuf::from(DEFAULT), PathBuf::from)
}

/// Reads a configuration and lays the process's environment over it.
pub fn load(file: &Path) -> Result<Config, Vec<Fault>> {
    Config::load(file, environment())
}

/// The same as far as it goes, with every fault.
pub fn examine(file: &Path) -> Examined {
    Config::examine(file, environment())
}

/// A variable that is not UTF-8 is none of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Every fault, one a line.
pub fn faulty(faults: &[Fault]) -> Failure {
    let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let count = if faults.len() == 1 { "a fault".into() } else { format!("{} faults", faults.len()) };
    Failure::Usage(format!("the configuration has {count}\n{}", list.join("\n")))
}

/// The folder with the packs: where config says it is; else, for a demonstration, beside the sources this was built from.
pub fn adapters() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let above_the_binary = std::env::current_exe().ok()?;
    let candidates =
        here.ancestors().chain(above_the_binary.ancestors()).chain([Path::new(env!("CARGO_MANIFEST_DIR"))]);
    candidates.map(|folder| folder.join("adapters")).find(|folder| folder.join("hl7v2-uk/adapter.toml").is_file())
}
