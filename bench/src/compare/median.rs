//! How rounds become one number.

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len(), sorted.get(middle)) {
        (0, _) | (_, None) => None,
        (length, Some(upper)) if length % 2 == 1 => Some(*upper),
        (_, Some(upper)) => Some(f64::midpoint(sorted[middle - 1], *upper)),
    }
}

/// The median of each round's ratio. A machine that was slow for a round was slow for both, so this moves less than a ratio of medians.
pub(super) fn median_of_ratios(values: &[f64], references: &[f64]) -> Option<f64> {
    let rounds = values.iter().zip(references);
    let ratios: Vec<f64> = rounds
        .filter(|(_, reference)| **reference > 0.0)
        .map(|(value, reference)| value / reference)
        .collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 100.0, 1.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn a_slow_round_does_not_move_a_ratio() {
        let nginx = [10.0, 30.0, 10.0];
        let berth = [8.0, 24.0, 8.0];
        assert_eq!(median_of_ratios(&berth, &nginx), Some(0.8));
        assert_eq!(median_of_ratios(&berth, &[0.0, 0.0, 0.0]), None);
    }
}
