//! Sizes as people write them into task definitions.

/// `256`, or `.25 vCPU` with the unit `vcpu`: 1024 to one of the unit, without a detour over floating point. None where it
/// is neither.
pub fn scaled(text: &str, unit: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let Some(number) = text.strip_suffix(unit) else {
        return text.parse().ok();
    };
    // Whole part and up to four digits of fraction: `1.5` becomes 1536.
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    if fraction.len() > 4 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits: u32 = format!("{fraction:0<4}").parse().ok()?;
    whole.checked_mul(1024)?.checked_add(digits * 1024 / 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_in_every_spelling() {
        for (text, unit, expected) in [
            ("256", "vcpu", Some(256)),
            (".25 vCPU", "vcpu", Some(256)),
            ("1 vCPU", "vcpu", Some(1024)),
            ("1.5vcpu", "vcpu", Some(1536)),
            ("512", "gb", Some(512)),
            ("1GB", "gb", Some(1024)),
            ("0.5 GB", "gb", Some(512)),
            ("much", "gb", None),
        ] {
            assert_eq!(scaled(text, unit), expected, "{text}");
        }
    }
}
