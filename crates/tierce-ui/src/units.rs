//! Sizes and durations for people.

/// `1.2 MB`, in powers of 1000 as registries and disks count.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{n} B"),
        _ if value < 10.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// `850 ms`, `12.3 s`, `4 min 2 s`.
pub fn millis(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// How long ago something was: `now`, `5 min`, `3 h`, `12 days`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => "now".to_owned(),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_two_digits_or_so() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (16_821_872, "17 MB"),
            (999_600, "1.0 MB"),
        ] {
            assert_eq!(super::bytes(n), text);
        }
    }

    #[test]
    fn durations_grow_their_unit() {
        for (ms, text) in [(5, "5 ms"), (1250, "1.2 s"), (242_000, "4 min 2 s")] {
            assert_eq!(super::millis(ms), text);
        }
    }
}
