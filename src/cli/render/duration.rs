//! Durations as people say them.

/// Units in seconds. A year is out of range: a step takes one at most.
const UNITS: [(u64, &str); 5] = [(604_800, "week"), (86_400, "day"), (3_600, "h"), (60, "min"), (1, "s")];

/// `45 s`, `1 min 30 s`, `2 days 4 h`: the largest unit and the next one, rounded down.
pub(super) fn duration(seconds: u64) -> String {
    let Some(largest) = UNITS.iter().position(|&(size, _)| seconds >= size) else { return "0 s".into() };
    let mut rest = seconds;
    let mut parts = Vec::new();
    for &(size, unit) in UNITS.iter().skip(largest).take(2) {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            let plural = if count > 1 && size >= 86_400 { "s" } else { "" };
            parts.push(format!("{count} {unit}{plural}"));
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (45, "45 s"),
            (120, "2 min"),
            (285, "4 min 45 s"),
            (5_400, "1 h 30 min"),
            (3_661, "1 h 1 min"),
            (86_400, "1 day"),
            (187_200, "2 days 4 h"),
            (604_800, "1 week"),
            (2_592_000, "4 weeks 2 days"),
            (31_536_000, "52 weeks 1 day"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
