//! Traces of requests, in one of the formats that their header tells apart.

mod arrivals;
mod azure;
mod columns;
mod error;
mod raddle_csv;

use std::path::Path;

pub use azure::TokenCost;
use columns::{Line, Lines};
pub use error::{Fault, TraceError};

use crate::workload::{CapabilityNames, Workload};

/// How to read a trace.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The service time of a token of an Azure trace.
    pub cost: TokenCost,
    /// The maximum number of requests to read.
    pub limit: usize,
}

/// Reads the trace that was in the file of this name; lines after `limit` requests are not checked.
pub fn load(path: &Path, bytes: &[u8], reading: Reading) -> Result<Workload, TraceError> {
    parse(bytes, path.display().to_string(), reading)
        .map_err(|fault| TraceError { path: path.to_owned(), fault })
}

pub(crate) fn parse(bytes: &[u8], source: String, reading: Reading) -> Result<Workload, Fault> {
    let mut lines = Lines::new(bytes);
    let header = lines.next().transpose()?.ok_or(Fault::Empty)?;
    let mut names = CapabilityNames::default();
    let with_key = header.is_header_of(raddle_csv::COLUMNS_WITH_KEY);
    let has_tokens = header.is_header_of(azure::COLUMNS);
    let requests: Vec<_> = if with_key || header.is_header_of(raddle_csv::COLUMNS) {
        let requests = raddle_csv::requests(lines, with_key, &mut names);
        requests.take(reading.limit).collect::<Result<_, _>>()?
    } else if has_tokens {
        azure::requests(lines, reading.cost).take(reading.limit).collect::<Result<_, _>>()?
    } else {
        return Err(unknown(&header));
    };
    if requests.is_empty() {
        return Err(Fault::NoRequest);
    }
    Ok(Workload { source, has_tokens, capabilities: names, requests })
}

fn unknown(header: &Line<'_>) -> Fault {
    let formats = [raddle_csv::COLUMNS_WITH_KEY, azure::COLUMNS];
    let alike = formats.map(|columns| header.begins_with(columns)).into_iter().max();
    let (line, column) = (header.number(), alike.unwrap_or_default() + 1);
    Fault::UnknownHeader { line, column, found: header.text() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const ALL: Reading =
        Reading { cost: TokenCost { context_ms: 0.5, generated_ms: 20.0 }, limit: usize::MAX };

    fn read(text: &str) -> Result<Workload, Fault> {
        parse(text.as_bytes(), "test".into(), ALL)
    }

    fn message(text: &str) -> String {
        read(text).expect_err("the trace is malformed").to_string()
    }

    #[test]
    fn a_trace_of_raddles_own_format_is_read() {
        let trace = "arrival_us,capability,service_us\n1000,code,250\n1000,,7\n4500,chat,0\n";
        let workload = read(trace).unwrap();
        let requests = &workload.requests;
        assert_eq!(requests.len(), 3);
        assert_eq!(requests[0].arrival, Duration::ZERO, "arrivals count from the first");
        assert_eq!(requests[2].arrival, Duration::from_micros(3500));
        assert_eq!(requests[0].service, Duration::from_micros(250));
        let names: Vec<_> = requests
            .iter()
            .map(|request| request.capability.map(|number| workload.capabilities.name(number)))
            .collect();
        assert_eq!(names, [Some("code"), None, Some("chat")]);
    }

    #[test]
    fn equal_keys_have_equal_hashes_and_an_empty_key_has_none() {
        let trace =
            "arrival_us,capability,service_us,key\n0,,1,user-7\n1,,1,\n2,,1,user-8\n3,,1,user-7\n";
        let keys: Vec<_> = read(trace).unwrap().requests.iter().map(|task| task.key).collect();
        assert!(keys[0].is_some() && keys[0] == keys[3] && keys[0] != keys[2], "{keys:?}");
        assert_eq!(keys[1], None);
    }

    #[test]
    fn an_azure_trace_is_read_with_crlf_and_without_a_final_newline() {
        let trace = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
                     2023-11-16 18:17:03.9799600,4808,10\r\n\
                     2023-11-16 18:17:04.0319600,3180,8";
        let workload = read(trace).unwrap();
        assert_eq!(workload.requests.len(), 2);
        assert_eq!(workload.requests[1].arrival, Duration::from_millis(52));
        assert_eq!(workload.requests[0].service, Duration::from_millis(4808 / 2 + 10 * 20));
        assert_eq!(workload.requests[0].capability, None);
    }

    #[test]
    fn lines_after_the_limit_are_not_checked() {
        let trace = "arrival_us,capability,service_us\n0,,1\n1,,1\nbroken\n";
        let workload = parse(trace.as_bytes(), "test".into(), Reading { limit: 2, ..ALL });
        assert_eq!(workload.unwrap().requests.len(), 2);
    }

    #[test]
    fn errors_name_the_line_the_column_and_what_is_allowed() {
        let columns = "arrival_us,capability,service_us";
        let azure = "TIMESTAMP,ContextTokens,GeneratedTokens";
        let headers = error::HEADERS;
        let order =
            "an arrival no earlier than that of the line above (traces are in order of time)";
        let us = "a whole number of microseconds";
        let cases = [
            (String::new(), format!("the trace is empty: expected a header, one of {headers}")),
            ("\n\r\n".into(), format!("the trace is empty: expected a header, one of {headers}")),
            (format!("{columns}\n"), "the trace is empty: expected at least one request after the header".into()),
            ("time,size\n1,2\n".into(), format!("line 1, column 1: expected one of the headers {headers}, found `time,size`")),
            (format!("{columns}\n0,code,1\n5,code\n"), format!("line 3, column 3: expected 3 columns ({columns}), found 2")),
            (format!("{columns}\n0,code,1,9\n"), format!("line 2, column 4: expected 3 columns ({columns}), found 4")),
            (format!("{columns}\n0,code,1\nsoon,code,1\n"), format!("line 3, column 1 (arrival_us): expected {us}, found `soon`")),
            (format!("{columns}\n-1,code,1\n"), format!("line 2, column 1 (arrival_us): expected {us}, found `-1`")),
            (format!("{columns}\n0,code,1.5\n"), format!("line 2, column 3 (service_us): expected {us}, at most a year, found `1.5`")),
            (format!("{columns}\n0,code,\n"), format!("line 2, column 3 (service_us): expected {us}, at most a year, found ``")),
            (format!("{columns}\n0,code,18446744073709551615\n"), format!("line 2, column 3 (service_us): expected {us}, at most a year, found `18446744073709551615`")),
            (format!("{columns}\n0,,1\n18446744073709551615,,1\n"), "line 3, column 1 (arrival_us): expected an arrival at most a year after the first, found `18446744073709551615`".into()),
            (format!("{columns}\n9,,1\n\n\n8,,1\n"), format!("line 5, column 1 (arrival_us): expected {order}, found `8`")),
            (format!("{columns}\r\n9,,1\r\n\r\n10,,x\r\n"), format!("line 4, column 3 (service_us): expected {us}, at most a year, found `x`")),
            (format!("{columns}\n0,,1\n5,,1\n4,,1\n"), format!("line 4, column 1 (arrival_us): expected {order}, found `4`")),
            (format!("{azure}\r\nyesterday,1,2"), "line 2, column 1 (TIMESTAMP): expected a time like `2023-11-16 18:17:03.9799600`, found `yesterday`".into()),
            (format!("{azure}\r\n2023-11-16 18:17:03.98,many,2"), "line 2, column 2 (ContextTokens): expected a whole number of tokens, found `many`".into()),
            (format!("{azure}\r\n2023-11-16 18:17:03.98,1,-2"), "line 2, column 3 (GeneratedTokens): expected a whole number of tokens, found `-2`".into()),
            (format!("{azure}\r\n2023-11-16 18:17:03.98,1"), format!("line 2, column 3: expected 3 columns ({azure}), found 2")),
            (format!("{azure}\n2023-11-16 18:17:03,1,2\n2023-11-16 18:17:02,1,2"), format!("line 3, column 1 (TIMESTAMP): expected {order}, found `2023-11-16 18:17:02`")),
            (format!("{azure}\n2023-11-16 18:17:03,4294967295,4294967295"), "line 2, column 3 (GeneratedTokens): expected tokens that cost at most a year of service, found `4294967295`".into()),
        ];
        for (trace, expected) in cases {
            assert_eq!(message(&trace), expected, "for the trace {trace:?}");
        }
    }

    #[test]
    fn a_129th_capability_is_an_error_at_its_line() {
        let lines: String = (0..129).map(|n| format!("{n},c{n},1\n")).collect();
        assert_eq!(
            message(&format!("arrival_us,capability,service_us\n{lines}")),
            "line 130, column 2 (capability): expected one of the 128 capabilities named above \
             (there can be no more), found `c128`"
        );
    }

    #[test]
    fn invalid_utf_8_is_an_error_and_not_a_panic() {
        let mut trace = b"arrival_us,capability,service_us\n0,".to_vec();
        trace.extend([0xff, 0xfe, b',', b'1']);
        let fault = parse(&trace, "test".into(), ALL).unwrap_err().to_string();
        let expected = "line 2, column 2 (capability): expected a capability name in UTF-8";
        assert!(fault.starts_with(expected), "{fault}");
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, "test".into(), ALL);
        }

        #[test]
        fn no_body_causes_a_panic(azure: bool, body in "([0-9a-z:. \"-]{0,24}[,\n]){0,30}") {
            let columns = if azure { azure::COLUMNS } else { raddle_csv::COLUMNS };
            let _ = read(&format!("{}\n{body}", columns.join(",")));
        }

        #[test]
        fn written_traces_are_read_back(
            rows in prop::collection::vec((0..1_000_000_u64, "[a-d]?", 0..1_000_000_u64), 1..50)
        ) {
            let mut rows = rows;
            rows.sort_by_key(|row| row.0);
            let body: String = rows.iter().map(|(at, c, service)| format!("{at},{c},{service}\n")).collect();
            let workload = read(&format!("{}\n{body}", raddle_csv::COLUMNS.join(","))).unwrap();
            prop_assert_eq!(workload.requests.len(), rows.len());
            for (request, (at, capability, service)) in workload.requests.iter().zip(&rows) {
                prop_assert_eq!(request.arrival, Duration::from_micros(at - rows[0].0));
                prop_assert_eq!(request.service, Duration::from_micros(*service));
                let name = request.capability.map_or("", |c| workload.capabilities.name(c));
                prop_assert_eq!(name, capability);
            }
        }
    }
}
