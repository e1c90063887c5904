//! The process itself: how small it idles, how soon it serves, also after SIGKILL under load.

use super::bridge;
use super::report::{Figure, Report};
use ips_bridge::wire::v1::progress_note_service_client::ProgressNoteServiceClient;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn rss_mb(pid: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).expect("a number") / 1024.0
}

pub fn own_rss_mb() -> f64 {
    rss_mb("self")
}

/// A bridge in a process of its own; stopped when dropped.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
}

fn serve(folder: &std::path::Path, address: SocketAddr) -> Served {
    let store = format!("sqlite://{}", folder.join("ready.db").display());
    let text = bridge::config(&store, "127.0.0.1:9".parse().expect("an address"));
    let text = text.replacen("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""), 1);
    let file = folder.join("bridge.toml");
    std::fs::write(&file, text).expect("config");
    let child = Command::new(env!("CARGO_BIN_EXE_ips-bridge"))
        .args(["serve", "--config"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a bridge");
    Served { child, address }
}

/// Seconds until the health service says SERVING.
async fn until_ready(served: &Served, since: Instant) -> f64 {
    use tonic_health::pb::health_client::HealthClient;
    loop {
        assert!(since.elapsed() < Duration::from_secs(30), "not ready in 30 s");
        if let Ok(channel) = tonic::transport::Endpoint::from_shared(format!("http://{}", served.address))
            .expect("an address")
            .connect()
            .await
        {
            let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
            if HealthClient::new(channel).check(request).await.is_ok_and(|r| r.get_ref().status == 1) {
                return since.elapsed().as_secs_f64();
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub async fn measure(report: &mut Report, empty_rss: f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let spawn = Instant::now();
    Command::new(env!("CARGO_BIN_EXE_ips-bridge")).arg("--version").stdout(Stdio::null()).status().expect("runs");
    let spawn = spawn.elapsed().as_secs_f64() * 1000.0;

    let address = free_port();
    let start = Instant::now();
    let served = serve(folder.path(), address);
    let ready = until_ready(&served, start).await * 1000.0;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = rss_mb(&served.child.id().to_string());
    report.add(&Figure {
        name: "idle_rss",
        value: idle,
        unit: "MB",
        better: "lower",
        limit: empty_rss,
        limit_name: "this bench before it did anything",
        mark: "<= 60 MB",
    });
    report.add(&Figure {
        name: "ready",
        value: ready,
        unit: "ms",
        better: "lower",
        limit: spawn,
        limit_name: "the same binary printing its version",
        mark: "<= 500 ms",
    });

    // Under load, then SIGKILL.
    let channel = bridge::channels(address, 1).await.remove(0);
    let referrals = bridge::referrals(channel.clone(), 50).await;
    let load: Vec<_> = (0..16)
        .map(|w| {
            let (channel, referrals) = (channel.clone(), referrals.clone());
            tokio::spawn(async move {
                let mut client = ProgressNoteServiceClient::new(channel);
                let mut n = w;
                while client.write_progress_note(bridge::note(&referrals[n % referrals.len()])).await.is_ok() {
                    n += 16;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(served);
    for one in load {
        let _ = one.await;
    }
    let start = Instant::now();
    let served = serve(folder.path(), address);
    let again = until_ready(&served, start).await * 1000.0;
    report.add(&Figure {
        name: "ready_after_kill",
        value: again,
        unit: "ms",
        better: "lower",
        limit: spawn,
        limit_name: "the same binary printing its version",
        mark: "<= 1000 ms",
    });
}
