//! A FHIR receiver that others wrote, on a real socket. Part of `make interop`.

use crate::support::shared;
use crate::support::web_end::{replied, settings};
use ips_bridge::transport::http_message::Reply;
use ips_bridge::transport::https::{Base, Pool};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};

async fn send(pool: &Pool, request: &str) -> Reply {
    let mut way = pool.connect().await.expect("a way");
    let exchange =
        tokio::time::timeout(Duration::from_secs(60), way.send(request.as_bytes(), "C1")).await.expect("it ends");
    replied(&exchange)
}

#[tokio::test]
async fn interop_a_fhir_server_takes_finds_and_refuses_what_we_send() {
    let mut server = tokio::process::Command::new("node")
        .arg(shared().join("validators/fhir_receiver.cjs"))
        .args(["--seconds", "120"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node runs");
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let base = tokio::time::timeout(Duration::from_secs(60), lines.next_line())
        .await
        .expect("it starts")
        .expect("read")
        .expect("its address");
    let mut settings = settings("127.0.0.1:1".parse().expect("an address"));
    settings.base = Base::parse(&base).expect("an address");
    settings.reply_timeout = Duration::from_secs(60);
    let pool = Pool::new(settings);
    let document = r#"{"resourceType":"DocumentReference","status":"current","identifier":[{"system":"https://ips-bridge.example/note","value":"01JNBRZC5M8Q4T7V9XA2E3F4G1"}],"content":[{"attachment":{"contentType":"text/plain","data":"TWV0IFNhbS4="}}]}"#;
    let create = format!(
        "POST DocumentReference\nContent-Type: application/fhir+json\nAccept: application/fhir+json\n\n{document}"
    );
    let made = send(&pool, &create).await;
    assert_eq!(made.status, 201);
    assert!(made.headers.get("location").is_some_and(|l| l.contains("DocumentReference/")));
    let find = "GET DocumentReference?identifier=https://ips-bridge.example/note%7C01JNBRZC5M8Q4T7V9XA2E3F4G1\nAccept: application/fhir+json\n\n";
    let found = send(&pool, find).await;
    let bundle: serde_json::Value = serde_json::from_slice(&found.body).expect("JSON");
    assert_eq!((found.status, &bundle["resourceType"]), (200, &"Bundle".into()));
    let entries = bundle["entry"].as_array().expect("entries");
    assert_eq!(
        (entries.len(), &entries[0]["resource"]["identifier"][0]["value"]),
        (1, &"01JNBRZC5M8Q4T7V9XA2E3F4G1".into())
    );
    let bad = "POST DocumentReference\nContent-Type: application/fhir+json\n\n{\"resourceType\":\"DocumentReference\"}";
    assert_eq!(send(&pool, bad).await.status, 422);
    server.kill().await.expect("it ends");
}
