//! A live endpoint: it starts with a pack that was tested, and not with a draft.

use crate::e2e_support::endpoint;
use crate::support::{free_addr, stores, temp_dir};
use ips_bridge::app::{self, Running, StartError, SystemClock, SystemEntropy};
use ips_bridge::config::Config;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A bridge with one live endpoint, its pack with this status.
async fn start(status: &str) -> Result<Running, StartError> {
    let (folder, store) = (temp_dir(), stores().next().expect("SQLite"));
    let pack = folder.path().join("adapters/hl7v2-uk");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk"), &pack);
    let manifest = std::fs::read_to_string(pack.join("adapter.toml")).expect("the manifest");
    let status = format!("status = \"{status}\"\nevidence = \"the trust's acceptance test of 2 March 2026\"");
    std::fs::write(pack.join("adapter.toml"), manifest.replace("status  = \"draft\"", &status)).expect("written");
    let own = "environment = \"live\"\npack = \"hl7v2-uk@0.1.0\"";
    let live = toml::Table::from_iter([("endpoint".to_owned(), vec![endpoint("epr", free_addr(), own)].into())]);
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = {}\n[packs]\nfolder = {}\n[limits]\nmin_free_disk_bytes = 1_048_576\n\
         [[trust]]\nods = \"RZ9\"\nname = \"Riverside\"\nteams = [{{ id = \"epr\", name = \"Team\" }}]\n\
         [[route]]\ntrust = \"RZ9\"\nentries = [\"note\", \"outcome\"]\nendpoint = \"epr\"\n{}",
        toml::Value::String(store.url.clone()),
        toml::Value::String(folder.path().join("adapters").display().to_string()),
        toml::to_string(&live).expect("TOML")
    );
    let config = Config::from_text(&text, &folder.path().join("ips-bridge.toml"), []).expect("no fault");
    app::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy), CancellationToken::new()).await
}

#[tokio::test]
async fn a_live_endpoint_starts_with_a_pack_that_was_tested_and_not_with_a_draft() {
    let running = start("tested").await.unwrap_or_else(|e| panic!("{e}"));
    running.stop().await;
    let Err(refused) = start("draft").await else { panic!("a draft went live") };
    assert!(refused.to_string().contains("draft"), "{refused}");
}
