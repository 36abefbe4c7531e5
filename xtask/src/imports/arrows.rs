//! Which crates may depend on which.

use serde_json::Value;

/// Each crate, and those directly below it: it may depend on these and on all below them.
const BELOW: [(&str, &[&str]); 12] = [
    ("raddle-sync", &[]),
    ("raddle-core", &["raddle-sync"]),
    ("raddle-strategies", &["raddle-core"]),
    ("raddle-runtime", &["raddle-strategies"]),
    ("raddle-sim", &["raddle-strategies"]),
    ("raddle-actors", &["raddle-runtime"]),
    ("raddle-tower", &["raddle-runtime"]),
    ("raddle-metrics", &["raddle-runtime"]),
    ("raddle-remote", &["raddle-actors"]),
    ("raddle", &["raddle-remote", "raddle-tower", "raddle-metrics", "raddle-sim"]),
    ("raddle-charts", &[]),
    ("raddle-cli", &["raddle", "raddle-charts"]),
];

/// The dependencies of the workspace's packages that point the wrong way. Development dependencies
/// are free, and so are those of packages outside of `crates`, on which no crate may depend.
pub(super) fn violations(packages: &[Value]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let is_crate = package["manifest_path"].as_str().is_some_and(|of| of.contains("/crates/"));
        if !is_crate {
            continue;
        }
        if !BELOW.iter().any(|(known, _)| *known == name) {
            violations
                .push(format!("{name} is not in the crate map of xtask/src/imports/arrows.rs"));
            continue;
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let is_own = dependency["path"].is_string();
            if is_own && dependency["kind"] != "dev" && !is_below(on, name) {
                violations.push(format!("{name} must not depend on {on}"));
            }
        }
    }
    violations
}

fn is_below(lower: &str, upper: &str) -> bool {
    let below = BELOW.iter().filter(|(name, _)| *name == upper).flat_map(|(_, below)| *below);
    below.into_iter().any(|next| *next == lower || is_below(lower, next))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(name: &str, on: &str, kind: Option<&str>) -> Vec<String> {
        let dependency = json!({ "name": on, "kind": kind, "path": "/somewhere" });
        let manifest = format!("/raddle/crates/{name}/Cargo.toml");
        let package =
            json!({ "name": name, "manifest_path": manifest, "dependencies": [dependency] });
        violations(&[package])
    }

    #[test]
    fn dependencies_point_down() {
        assert_eq!(found("raddle-cli", "raddle-sync", None), [""; 0]);
        assert_eq!(found("raddle-core", "raddle-sync", None), [""; 0]);
        let expected = "raddle-core must not depend on raddle-strategies";
        assert_eq!(found("raddle-core", "raddle-strategies", None), [expected]);
        assert_eq!(found("raddle-sim", "raddle-runtime", Some("build")).len(), 1);
        assert_eq!(found("raddle", "raddle-benches", None).len(), 1);
    }

    #[test]
    fn development_dependencies_are_free() {
        assert_eq!(found("raddle-core", "raddle-loom-tests", Some("dev")), [""; 0]);
    }

    #[test]
    fn a_crate_that_the_map_lacks_is_reported() {
        assert_eq!(found("raddle-new", "raddle-core", None).len(), 1);
    }
}
