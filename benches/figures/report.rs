//! What was measured, as a table and as JSON.

use serde_json::{Value, json};

#[derive(Default)]
pub struct Report(Vec<Value>);

/// One figure.
pub struct Figure<'a> {
    pub name: &'a str,
    pub value: f64,
    pub unit: &'a str,
    /// "higher" or "lower".
    pub better: &'a str,
    pub limit: f64,
    pub limit_name: &'a str,
    /// What it should be, as a ratio of the limit or in words.
    pub mark: &'a str,
}

impl Report {
    pub fn add(&mut self, f: &Figure<'_>) {
        let ratio = if f.limit == 0.0 { 0.0 } else { f.value / f.limit };
        println!(
            "{:<24} {:>12.1} {:<10} limit {:>12.1}  {:<44} ratio {:.3}   (mark: {})",
            f.name, f.value, f.unit, f.limit, f.limit_name, ratio, f.mark
        );
        self.0.push(json!({
            "name": f.name, "value": f.value, "unit": f.unit, "better": f.better, "limit": f.limit, "limit_name": f.limit_name, "ratio": ratio
        }));
    }

    pub fn finish(self) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        std::fs::create_dir_all(&folder).expect("a folder for the summary");
        let text = serde_json::to_string_pretty(&Value::Array(self.0)).expect("JSON");
        std::fs::write(folder.join("summary.json"), text + "\n").expect("the summary is written");
        println!("\nwritten: target/bench/summary.json");
    }
}

/// The value below which `share` (0 to 1) of the samples lie.
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let at = ((samples.len() as f64 - 1.0) * share).round() as usize;
    samples.get(at).copied().unwrap_or(f64::NAN)
}
