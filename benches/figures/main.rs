//! `make bench`: each figure beside a limit measured in the same run, on the same machine, under the same load. Absolute numbers say little here
//! (the same disk gives 300 or 5,000 fdatasyncs a second depending on the neighbours); the ratios do.
//!
//! Writes `target/bench/summary.json`: `[{name, value, unit, better, limit, limit_name, ratio}]`.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and draws real randomness")]
#![expect(clippy::panic, reason = "a bench that cannot measure must stop loudly")]

mod bridge;
mod grpc;
mod limits;
mod mllp;
mod packs;
mod process;
mod report;

use report::Report;

/// Callers at once, and connections they share.
pub const CALLERS: usize = 64;
pub const CHANNELS: usize = 8;

fn main() {
    ips_bridge::transport::tls::install_crypto_provider();
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|o| name.contains(o));
    let mut report = Report::default();
    // First, while nothing else has grown this process.
    let empty_rss = process::own_rss_mb();
    if wanted("render") || wanted("parse") {
        packs::measure(&mut report);
    }
    let runtime = ips_bridge::app::runtime(Some(2)).expect("a runtime");
    runtime.block_on(async {
        let stores: Vec<(&str, String)> = bridge::stores();
        for (name, url) in &stores {
            if wanted("accept") {
                grpc::accept(&mut report, name, url).await;
            }
            if wanted("filed") {
                mllp::filed(&mut report, name, url).await;
            }
        }
        let (_, sqlite) = &stores[0];
        if wanted("accepted_to_filed") {
            mllp::latency(&mut report, sqlite).await;
        }
        if wanted("inbound") {
            mllp::inbound(&mut report, sqlite).await;
        }
        if wanted("ready") || wanted("idle") {
            process::measure(&mut report, empty_rss).await;
        }
    });
    report.finish();
}
