//! A series of samples as a chart wants it: few points, no peak lost, no gap bridged.

/// One row of a chart: milliseconds since 1970, and a value per column where it is known.
pub(crate) type Point = (i64, Vec<Option<f64>>);

/// Puts a row without values into each hole that is longer than three usual steps: nobody was looking there.
pub(crate) fn with_gaps(points: Vec<Point>) -> Vec<Point> {
    let mut steps: Vec<i64> =
        points.windows(2).filter_map(|pair| Some(pair.get(1)?.0 - pair.first()?.0)).filter(|step| *step > 0).collect();
    steps.sort_unstable();
    let Some(usual) = steps.get(steps.len() / 2).copied() else { return points };
    let mut whole: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        if let Some((before, values)) = whole.last()
            && point.0 - before > usual.saturating_mul(3)
        {
            let gap = (before + usual, vec![None; values.len()]);
            whole.push(gap);
        }
        whole.push(point);
    }
    whole
}

/// At most about `limit` rows of these: of each stretch the rows that hold a column's minimum or maximum, and one row
/// where something was unknown. The first and the last row stay.
pub(crate) fn decimated(points: Vec<Point>, limit: usize) -> Vec<Point> {
    let columns = points.first().map_or(0, |(_, values)| values.len());
    if points.len() <= limit || columns == 0 {
        return points;
    }
    let buckets = (limit / (2 * columns + 1)).max(1);
    let per_bucket = points.len().div_ceil(buckets).max(1);
    let mut kept = vec![false; points.len()];
    for (bucket, rows) in points.chunks(per_bucket).enumerate() {
        let start = bucket * per_bucket;
        for column in 0..columns {
            let known = || {
                let value = |(row, (_, values)): (usize, &Point)| Some((row, values.get(column).copied().flatten()?));
                rows.iter().enumerate().filter_map(value)
            };
            let least = known().min_by(|a, b| a.1.total_cmp(&b.1));
            let most = known().max_by(|a, b| a.1.total_cmp(&b.1));
            for (row, _) in least.into_iter().chain(most) {
                kept[start + row] = true;
            }
        }
        if let Some(row) = rows.iter().position(|(_, values)| values.iter().any(Option::is_none)) {
            kept[start + row] = true;
        }
    }
    if let Some(first) = kept.first_mut() {
        *first = true;
    }
    if let Some(last) = kept.last_mut() {
        *last = true;
    }
    points.into_iter().zip(kept).filter_map(|(point, kept)| kept.then_some(point)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(at: i64, value: Option<f64>) -> Point {
        (at, vec![value])
    }

    #[test]
    fn downtime_is_a_gap_and_one_late_turn_is_not() {
        let steady: Vec<Point> = (0..5).map(|turn| row(turn * 15, Some(1.0))).collect();
        assert_eq!(with_gaps(steady.clone()), steady);
        let mut late = steady.clone();
        late.push(row(60 + 40, Some(1.0)));
        assert_eq!(with_gaps(late.clone()), late, "40 s is below three steps");
        let mut down = steady.clone();
        down.push(row(60 + 600, Some(1.0)));
        assert_eq!(with_gaps(down).get(5), Some(&row(75, None)));
        assert!(with_gaps(Vec::new()).is_empty());
    }

    #[test]
    fn a_peak_of_one_turn_and_a_gap_of_one_turn_survive() {
        let mut points: Vec<Point> = (0..5_760).map(|turn| row(turn, Some(10.0))).collect();
        points[1_234] = row(1_234, Some(99.0));
        points[4_321] = row(4_321, None);
        let few = decimated(points, 300);
        assert!(few.len() <= 302, "{}", few.len());
        assert!(few.contains(&row(1_234, Some(99.0))));
        assert!(few.contains(&row(4_321, None)));
    }

    proptest! {
        #[test]
        fn extremes_order_and_ends_are_kept(
            values in proptest::collection::vec(proptest::option::of(0_u32..1_000), 1..400),
            limit in 1_usize..100,
        ) {
            let points: Vec<Point> =
                (0_i64..).zip(values).map(|(at, value)| row(at, value.map(f64::from))).collect();
            let few = decimated(points.clone(), limit);
            prop_assert!(few.len() <= points.len().min(limit.max(3) + 3));
            prop_assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let most = |points: &[Point]| points.iter().filter_map(|p| p.1[0]).max_by(f64::total_cmp);
            let least = |points: &[Point]| points.iter().filter_map(|p| p.1[0]).min_by(f64::total_cmp);
            prop_assert_eq!(most(&few), most(&points));
            prop_assert_eq!(least(&few), least(&points));
            prop_assert_eq!(few.first(), points.first());
            prop_assert_eq!(few.last(), points.last());
            let unknown = |points: &[Point]| points.iter().any(|p| p.1[0].is_none());
            prop_assert_eq!(unknown(&few), unknown(&points));
        }
    }
}
