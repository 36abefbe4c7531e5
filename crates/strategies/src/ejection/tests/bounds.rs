//! Settings outside their bounds.

use super::*;

#[test]
fn each_bound_is_checked_and_named() {
    let fine = Ejection::default();
    assert_eq!((fine.review_interval(), fine.interval(5 * S).review_interval()), (S, 5 * S));
    let second = Duration::from_secs(2);
    let named = |wrong: Ejection, part: &str| {
        let error = OutlierDetector::new(wrong).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("allowed"), "{error}");
    };
    named(fine.interval(Duration::ZERO), "interval is 0");
    named(fine.min_tasks(0), "tasks is 0");
    named(fine.base_duration(second).max_duration(S), "2s");
    for share in [-0.1, 1.0, f64::NAN] {
        named(fine.failure_share(share), "failure share");
    }
    for factor in [1.0, f64::INFINITY, f64::NAN] {
        named(fine.latency_factor(factor), "latency factor");
    }
    for share in [0.0, 1.1, f64::NAN] {
        named(fine.max_ejected_share(share), "maximum ejected share");
    }
}
