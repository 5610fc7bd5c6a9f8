//! What the writer probably meant.

/// The longest name that is compared. Ours are all shorter; comparing takes the product of the lengths.
const NAME_MAX: usize = 64;

/// The candidate nearest to `name`, if one is near: equal but for case, one the beginning of the other, or few letters
/// away, where swapping two neighbours counts once.
pub(super) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if name.is_empty() || name.chars().count() > NAME_MAX {
        return None;
    }
    let lower = name.to_lowercase();
    let near = candidates.iter().copied().filter_map(|candidate| {
        let other = candidate.to_lowercase();
        let distance = distance(&lower, &other);
        let letters = lower.chars().count().max(other.chars().count());
        let begins = lower.len() >= 4 && other.len() >= 4 && (other.starts_with(&lower) || lower.starts_with(&other));
        (distance <= (letters / 3).min(3) || begins).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, changes, and swaps of two neighbours.
fn distance(one: &str, two: &str) -> usize {
    let one: Vec<char> = one.chars().collect();
    let two: Vec<char> = two.chars().collect();
    let mut rows = vec![vec![0_usize; two.len() + 1]; one.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    for (index, cell) in rows[0].iter_mut().enumerate() {
        *cell = index;
    }
    for i in 1..=one.len() {
        for j in 1..=two.len() {
            let change = usize::from(one[i - 1] != two[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && one[i - 1] == two[j - 2] && one[i - 2] == two[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[one.len()][two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_right_name() {
        let names = ["labels", "annotations", "memoryMiB", "subnetIds"];
        assert_eq!(nearest("lables", &names), Some("labels"));
        assert_eq!(nearest("memory", &names), Some("memoryMiB"));
        assert_eq!(nearest("subnetIDs", &names), Some("subnetIds"));
        assert_eq!(nearest("password", &names), None);
        assert_eq!(nearest("", &names), None);
    }
}
