//! Sizes as people write them into task definitions and for Valkey.

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

/// Bytes as Valkey reads them: `1048576`, `300mb`, `1gb`, in any case. With a `b` at its end a unit is a power of 1024, else
/// one of 1000. None where it is no size, or more than there are numbers for.
pub fn bytes(text: &str) -> Option<u64> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
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
    #[test]
    fn bytes_read_as_valkey_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1048576", Some(1 << 20)),
            ("5b", Some(5)),
            ("300mb", Some(300 << 20)),
            ("300MB", Some(300 << 20)),
            ("1m", Some(1_000_000)),
            ("2kB", Some(2048)),
            ("2K", Some(2000)),
            ("1gb", Some(1 << 30)),
            ("1G", Some(1_000_000_000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("17179869184gb", None),
            ("", None),
            ("mb", None),
            ("1.5gb", None),
            ("-1", None),
            ("1 gb", None),
            ("1tb", None),
            ("1gib", None),
            ("50%", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
