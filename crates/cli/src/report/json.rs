//! The report as JSON.

use std::io::{self, Write};

use serde::Serialize;

/// Writes the report, indented, with a final newline.
pub fn write(report: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
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
