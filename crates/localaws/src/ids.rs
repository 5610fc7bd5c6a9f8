//! Ids in AWS's forms, from the seed.

use fastrand::Rng;

/// `fs-0123456789abcdef0`: the prefix, a hyphen and 17 hexadecimal digits.
pub(crate) fn hex17(rng: &mut Rng, prefix: &str) -> String {
    format!("{prefix}-{}", hex(rng, 17))
}

/// So many hexadecimal digits.
pub(crate) fn hex(rng: &mut Rng, digits: usize) -> String {
    (0..digits).map(|_| rng.digit(16)).collect()
}

/// Unique ids of IAM: the prefix and 17 capital letters or digits.
pub(crate) fn iam(rng: &mut Rng, prefix: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let tail: String = (0..17)
        .map(|_| char::from(ALPHABET[rng.usize(..ALPHABET.len())]))
        .collect();
    format!("{prefix}{tail}")
}

/// A random UUID.
pub(crate) fn uuid(rng: &mut Rng) -> String {
    format!(
        "{}-{}-4{}-8{}-{}",
        hex(rng, 8),
        hex(rng, 4),
        hex(rng, 3),
        hex(rng, 3),
        hex(rng, 12)
    )
}
