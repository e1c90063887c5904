//! A bridge that is killed loses nothing that it had answered.

use super::*;
use ips_bridge::domain::ids::NoteId;
use ips_bridge::store::Scope;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const STORE: &str = "IPS_TEST_KILLED_STORE";

/// Two parts in one test: the second is this test again, in a process of its own, told by a variable to write until it is killed.
#[tokio::test]
async fn what_was_answered_survives_sigkill() {
    if let Ok(url) = std::env::var(STORE) {
        return write_for_ever(&url).await;
    }
    for test in both() {
        let name = format!("{}::what_was_answered_survives_sigkill", module_path!().split_once("::").unwrap().1);
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(STORE, &test.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(writer.stdout.take().unwrap()).lines();
        let notes: Vec<NoteId> = said
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("answered ")?.parse().ok())
            .take(40)
            .collect();
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert_eq!(notes.len(), 40, "the writer ended by itself");

        let bridge = Bridge::on(&test.url).await;
        for note in &notes {
            let entries = bridge.store.versions(&Scope::system(), [note.0]).await.unwrap();
            let deliveries = bridge.store.deliveries_of(&Scope::system(), [note.0]).await.unwrap();
            assert_eq!((entries.len(), deliveries.len()), (1, 1));
        }
        // Whatever else was written is whole too.
        let count = async |table: &str| raw::number(&test.url, &format!("SELECT COUNT(*) FROM {table}")).await;
        let written = count("note").await;
        assert_eq!(
            (count("entry").await, count("delivery").await, count("request").await),
            (written, written, written + 1)
        );
        bridge.check_columns().await;
        bridge.close().await;
    }
}

async fn write_for_ever(url: &str) {
    let bridge = Bridge::on(url).await;
    let of = bridge.episode().await;
    loop {
        let writes = (0..4).map(|n| {
            let write = bridge.note(&of, note(&format!("Note {n}")));
            async { println!("answered {}", bridge::written(&bridge.store.write_note(write).await.unwrap()).note) }
        });
        futures::future::join_all(writes).await;
    }
}
