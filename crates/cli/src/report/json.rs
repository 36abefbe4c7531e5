//! The report as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::print::has_effect;

/// Writes the report, indented, with a final newline. Every character that would control a terminal
/// is escaped.
pub fn write(report: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    let mut escaped = String::with_capacity(json.len() + 1);
    for char in json.chars() {
        // Line feeds are between the strings; all of these are in one, and have four digits.
        if has_effect(char) && char != '\n' {
            escaped += &format!("\\u{:04x}", u32::from(char));
        } else {
            escaped.push(char);
        }
    }
    escaped.push('\n');
    out.write_all(escaped.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_json_has_the_documented_form() {
        let mut bytes = Vec::new();
        write(&super::super::tests::example(), &mut bytes).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            value["strategies"][1],
            json!({
                "strategy": "random", "tasks": 1000, "completed": 990, "failed": 0, "rejected": 10,
                "throughput_per_s": 250.5, "utilisation": 0.625,
                "latency_us": {
                    "mean": 1500.0, "p50": 900.0, "p90": 2000.0,
                    "p99": 9000.0, "p999": 18000.0, "max": 27000.0,
                },
                "lag_us": {
                    "mean": 20.0, "p50": 10.0, "p90": 40.0, "p99": 90.0, "p999": 95.0, "max": 99.0,
                },
                "overrun_us": {
                    "mean": 30.0, "p50": 20.0, "p90": 50.0, "p99": 60.0, "p999": 65.0, "max": 70.0,
                },
                "overrun_share": 0.02,
                "share": {"code-0": 0.75, "any-1": 0.25},
                "select_ns_mean": 41.0,
            })
        );
        assert_eq!(
            value["workload"],
            json!({
                "source": "embedded", "tasks": 1000, "seed": 1, "speedup": 1.0, "span_s": 4.0,
                "work_s": 5.0, "mode": "closed", "concurrency": 2, "service": "sleep",
                "workers": "1x1.0:code,1x1.0", "mailbox": null, "interrupted": false,
            })
        );
    }
}
