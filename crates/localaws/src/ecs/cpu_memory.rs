//! CPU and memory of Fargate tasks: only certain pairs exist.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html>

/// CPU units from `256`, `.25 vCPU`, `1 vCPU`.
pub(super) fn cpu_units(text: &str) -> Option<u32> {
    amount(text, &["vcpu"])
}

/// MiB from `512`, `0.5 GB`, `1GB`.
pub(super) fn memory_mib(text: &str) -> Option<u32> {
    amount(text, &["gb", "gib"])
}

fn amount(text: &str, units: &[&str]) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let Some(number) = units.iter().find_map(|unit| text.strip_suffix(unit)) else {
        return text.parse().ok();
    };
    let thousands: f64 = number.trim().parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked against the range"
    )]
    (0.0..=4_000_000.0)
        .contains(&thousands)
        .then(|| (thousands * 1024.0).round() as u32)
}

/// Whether Fargate has this pair.
pub(super) fn exists_on_fargate(cpu: u32, memory: u32) -> bool {
    const GIB: u32 = 1024;
    let (least, most, step) = match cpu {
        256 => return [512, GIB, 2 * GIB].contains(&memory),
        512 => (1, 4, 1),
        1024 => (2, 8, 1),
        2048 => (4, 16, 1),
        4096 => (8, 30, 1),
        8192 => (16, 60, 4),
        16384 => (32, 120, 8),
        _ => return false,
    };
    (least * GIB..=most * GIB).contains(&memory) && (memory - least * GIB).is_multiple_of(step * GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_in_both_forms() {
        assert_eq!(
            (cpu_units("256"), cpu_units(".25 vCPU"), cpu_units("1 vcpu")),
            (Some(256), Some(256), Some(1024))
        );
        assert_eq!(
            (memory_mib("512"), memory_mib("1GB"), memory_mib("a lot")),
            (Some(512), Some(1024), None)
        );
    }

    #[test]
    fn only_certain_pairs_exist() {
        assert!(exists_on_fargate(256, 512) && exists_on_fargate(512, 4096) && exists_on_fargate(8192, 20 * 1024));
        assert!(!exists_on_fargate(256, 4096) && !exists_on_fargate(300, 512) && !exists_on_fargate(512, 1500));
        assert!(!exists_on_fargate(8192, 18 * 1024));
    }
}
