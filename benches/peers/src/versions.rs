//! The versions of the peers, as locked when this program was built.

/// The crates whose versions are reported.
const PEERS: [&str; 14] = [
    "crossbeam-channel",
    "crossbeam-utils",
    "kanal",
    "disruptor",
    "oneshot",
    "tokio",
    "rayon",
    "actix",
    "ractor",
    "kameo",
    "kameo_actors",
    "xtra",
    "tower",
    "pingora-load-balancing",
];

/// Returns each peer with its version.
pub fn peers() -> Vec<(&'static str, &'static str)> {
    let lock = include_str!("../../../Cargo.lock");
    PEERS.iter().filter_map(|name| Some((*name, version(lock, name)?))).collect()
}

/// The version of a package in a lock file, the last if there are several.
fn version<'l>(lock: &'l str, package: &str) -> Option<&'l str> {
    let (_, rest) = lock.rsplit_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_version() {
        assert_eq!(peers().len(), PEERS.len());
        assert!(peers().iter().all(|(_, version)| version.starts_with(char::is_numeric)));
    }
}
