//! Hashes that are the same in every process, on every platform and in every version: for what two
//! processes must agree on, such as which worker a key belongs to.
//!
//! SipHash-1-3 with the key 0 (Aumasson, Bernstein: *SipHash: a fast short-input PRF*, INDOCRYPT
//! 2012). The standard library's `DefaultHasher` is the same function today, but may become another
//! one with any release. Nothing here is secret: whoever chooses names or keys can make them collide.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

/// Hashes a name: its UTF-8 bytes and nothing else, so that other languages can compute it too.
///
/// ```
/// assert_eq!(raddle_core::hash::of_name("worker-0"), 0x8bae_e036_d971_dc4d);
/// ```
pub fn of_name(name: &str) -> u64 {
    SipHasher13::new().hash(name.as_bytes())
}

/// Hashes a value as its type says. The same everywhere as long as the type writes the same bytes:
/// strings and numbers of a fixed size do on platforms of one byte order, `usize` does on those of
/// one word size.
pub fn of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish()
}
