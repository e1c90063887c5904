//! `inbound` against a bridge that runs: what came, what could not be taken in, and running it again.

use crate::support::binary::Serving;
use crate::support::{free_addr, temp_dir};
use std::path::{Path, PathBuf};

/// A referral of the pack's examples in a file, with something in it replaced.
fn referral(folder: &Path, from: &str, to: &str) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk/examples/parse-ref/message.hl7");
    let text = std::fs::read_to_string(example).expect("an example of ours").replace(from, to);
    let file = folder.join("message.hl7");
    std::fs::write(&file, text).expect("the test's own folder");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_taken_in_is_shown_and_run_again_by_command() {
    let bridge = Serving::start(free_addr()).await;
    let folder = temp_dir();
    let broken = referral(folder.path(), "9990000018", "9990000019");
    let text = std::fs::read_to_string(&broken).expect("the test's own file");
    std::fs::write(&broken, format!("{}\nZRK|1|x\n", text.trim_end())).expect("the test's own file");
    let submit = ["inbound", "submit", "--endpoint", "rz9-epr", &broken.display().to_string()];
    let refused = bridge.run(&submit).exits(1);
    assert!(refused.out.contains("MSA|AE|EPR000001200"), "{}", refused.out);
    let list = bridge.run(&["inbound", "list"]).exits(0);
    assert!(
        list.out.contains("REF^I12") && list.out.contains("PARKED") && list.out.contains("nhs_number"),
        "{}",
        list.out
    );
    let status = bridge.run(&["status"]).exits(0);
    assert!(status.out.contains("ips-bridge inbound list --endpoint rz9-epr"), "{}", status.out);
    let listed =
        bridge.run(&["inbound", "list", "--endpoint", "rz9-epr", "--type", "REF^I12", "--json"]).exits(0).json();
    let id = listed["messages"][0]["id"].as_str().expect("an id").to_owned();

    let shown = bridge.run(&["inbound", "show", &id]).exits(0);
    assert!(shown.out.contains("inbound reprocess") && !shown.out.contains("TESTPATIENT"), "{}", shown.out);
    let not_read = shown.out.lines().find(|line| line.starts_with("not read")).unwrap_or_default();
    assert!(not_read.ends_with("ZRK"), "{}", shown.out);
    let whole = bridge.run(&["inbound", "show", &id, "--bytes"]).exits(0);
    assert!(
        whole.out.contains("< PID|") && whole.out.contains("TESTPATIENT") && whole.out.contains("> MSA|AE"),
        "{}",
        whole.out
    );

    let bulk = ["inbound", "reprocess", "--endpoint", "rz9-epr", "--reason", "nhs_number", "--because", "looked"];
    let dry = bridge.run(&[&bulk[..], &["--dry-run", "--json"]].concat()).exits(0).json();
    assert_eq!((dry["matched"].as_i64(), dry["done"][0].as_str()), (Some(1), Some(&*id)));
    let asked = bridge.run(&bulk).exits(2);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    // Nothing was mended: it is parked again, and a script sees that.
    let again = bridge.run(&[&bulk[..], &["--yes"]].concat()).exits(1);
    assert!(again.out.contains(&id) && again.out.contains("PARKED"), "{}", again.out);
    let none =
        ["inbound", "reprocess", "--endpoint", "rz9-epr", "--reason", "no such reason", "--because", "x", "--yes"];
    assert!(bridge.run(&none).exits(0).out.contains("nothing matches"));

    let good = referral(folder.path(), "|EPR000001200|", "|EPR000001201|");
    let submit = ["inbound", "submit", "--endpoint", "rz9-epr", &good.display().to_string()];
    let taken = bridge.run(&submit).exits(0);
    assert!(taken.out.contains("MSA|AA|EPR000001201"), "{}", taken.out);
    let all = bridge.run(&["inbound", "list", "--all"]).exits(0);
    assert!(all.out.contains("APPLIED") && all.out.contains("PARKED"), "{}", all.out);
    let unknown = bridge.run(&["inbound", "show", "01JNBRZC5M8Q4T7V9XA2E3F4G1"]).exits(1);
    assert!(unknown.err.contains("reason  NOT_FOUND"), "{}", unknown.err);
    assert_eq!(bridge.stop(), Some(0));
}
