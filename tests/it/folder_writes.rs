//! Files into a real folder: whole or not at all, the same again is no second copy, another file is never written over.

use crate::support::temp_dir;
use ips_bridge::transport::file_set::{FileSet, NamedFile, Outcome, Receipt};
use ips_bridge::transport::folder::{Folder, FolderSettings};
use ips_bridge::transport::{NotSent, Sender, Sent};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

fn sender(path: &Path) -> Sender {
    Sender::Folder(Folder::new(FolderSettings {
        path: path.to_owned(),
        file_mode: 0o640,
        write_timeout: Duration::from_secs(10),
    }))
}

fn set(document: &[u8], index: &[u8]) -> Vec<u8> {
    let file = |name: &str, bytes: &[u8]| NamedFile { name: name.into(), bytes: bytes.to_vec() };
    let files = vec![file("D1.pdf", document), file("D1.xml", index)];
    FileSet { id: "RZZ1".into(), files }.encode().expect("a set")
}

async fn send(sender: &Sender, bytes: &[u8]) -> Sent {
    let mut way = sender.open().await.expect("the folder is there");
    way.send(bytes, "C1", &|_| false).await.sent
}

fn outcome(sent: Sent) -> Outcome {
    let Sent::Reply(bytes) = sent else { panic!("no receipt: {sent:?}") };
    let receipt = Receipt::decode(&bytes).expect("a receipt");
    assert_eq!(receipt.id, "RZZ1");
    receipt.outcome
}

fn names(folder: &Path) -> Vec<String> {
    let list = fs::read_dir(folder).expect("readable");
    let mut names: Vec<String> = list.map(|e| e.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_same_files_again_are_already_there_and_others_of_that_name_are_never_written_over() {
    let folder = temp_dir();
    let sender = sender(folder.path());
    let bytes = set(b"%PDF a", b"<a/>");
    assert_eq!(outcome(send(&sender, &bytes).await), Outcome::Written);
    assert_eq!(names(folder.path()), ["D1.pdf", "D1.xml"], "nothing unfinished is left");
    assert_eq!(fs::read(folder.path().join("D1.pdf")).unwrap(), b"%PDF a");
    let mode = fs::metadata(folder.path().join("D1.xml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "whatever the umask says");
    assert_eq!(outcome(send(&sender, &bytes).await), Outcome::AlreadyThere);
    assert_eq!(outcome(send(&sender, &set(b"%PDF b", b"<a/>")).await), Outcome::NameTaken);
    assert_eq!(outcome(send(&sender, &set(b"%PDF a", b"<b/>")).await), Outcome::NameTaken);
    assert_eq!(fs::read(folder.path().join("D1.pdf")).unwrap(), b"%PDF a");
    assert_eq!(fs::read(folder.path().join("D1.xml")).unwrap(), b"<a/>");
}

#[tokio::test]
async fn a_crash_at_any_step_is_mended_by_sending_the_same_files_again() {
    let bytes = set(b"%PDF a", b"<a/>");
    // What can lie there: nothing, an unfinished file torn anywhere, the document alone, both.
    let left: [&[(&str, &[u8])]; 4] = [
        &[(".ips-unfinished-1-0-D1.pdf", b"%PD")],
        &[("D1.pdf", b"%PDF a"), (".ips-unfinished-1-0-D1.xml", b"<")],
        &[("D1.pdf", b"%PDF a")],
        &[("D1.pdf", b"%PDF a"), ("D1.xml", b"<a/>")],
    ];
    for files in left {
        let folder = temp_dir();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let done = outcome(send(&sender(folder.path()), &bytes).await);
        assert!(matches!(done, Outcome::Written | Outcome::AlreadyThere));
        assert_eq!(names(folder.path()), ["D1.pdf", "D1.xml"]);
        assert_eq!(fs::read(folder.path().join("D1.pdf")).unwrap(), b"%PDF a");
        assert_eq!(fs::read(folder.path().join("D1.xml")).unwrap(), b"<a/>");
    }
}

#[tokio::test]
async fn a_link_or_a_folder_of_that_name_is_another_file() {
    for kind in ["link", "folder"] {
        let (folder, elsewhere) = (temp_dir(), temp_dir());
        let target = elsewhere.path().join("x");
        fs::write(&target, b"%PDF a").unwrap();
        match kind {
            "link" => std::os::unix::fs::symlink(&target, folder.path().join("D1.pdf")).unwrap(),
            _ => fs::create_dir(folder.path().join("D1.pdf")).unwrap(),
        }
        assert_eq!(outcome(send(&sender(folder.path()), &set(b"%PDF a", b"<a/>")).await), Outcome::NameTaken);
        assert_eq!(names(folder.path()), ["D1.pdf"]);
    }
}

#[tokio::test]
async fn a_folder_that_is_away_or_full_or_a_file_is_not_sent_and_leaves_nothing() {
    let folder = temp_dir();
    let away = sender(&folder.path().join("not-mounted"));
    assert!(matches!(away.open().await, Err(NotSent::Folder { .. })));
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(sender(&file).open().await, Err(NotSent::Folder { .. })));
    // Gone after it was looked at, as a disk that fills or a mount that drops: writing fails before anything has a name.
    let gone = temp_dir();
    let path = gone.path().join("out");
    fs::create_dir(&path).unwrap();
    let mut way = sender(&path).open().await.expect("there still");
    fs::remove_dir(&path).unwrap();
    let sent = way.send(&set(b"%PDF a", b"<a/>"), "C1", &|_| false).await.sent;
    assert!(matches!(sent, Sent::NotSent(NotSent::Folder { .. })), "{sent:?}");
    let sent = send(&sender(folder.path()), b"MSH|^~\\&|").await;
    let Sent::NotSent(why) = sent else { panic!("{sent:?}") };
    assert!(why.is_message_fault(), "no folder could take it");
}

#[tokio::test]
async fn the_index_appears_last() {
    let folder = temp_dir();
    let path = folder.path().to_owned();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let watcher = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        while stopped.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
            for n in 0..40 {
                if path.join(format!("D{n}.xml")).exists() {
                    let document = fs::read(path.join(format!("D{n}.pdf"))).expect("the document was there before");
                    assert_eq!(document.len(), 200_000, "whole");
                    seen += 1;
                }
            }
        }
        seen
    });
    let sender = sender(folder.path());
    for n in 0..40 {
        let file = |ending: &str, bytes: Vec<u8>| NamedFile { name: format!("D{n}.{ending}"), bytes };
        let files = vec![file("pdf", vec![b'x'; 200_000]), file("xml", b"<a/>".to_vec())];
        let set = FileSet { id: "RZZ1".into(), files }.encode().expect("a set");
        assert_eq!(outcome(send(&sender, &set).await), Outcome::Written);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.send(()).expect("the watcher watches");
    assert!(watcher.await.expect("no half document was seen") > 0);
}
