//! Amounts, rates and times as a person reads them.

use std::time::Duration;

/// `512 B`, `1.5 kB`, `20 MB`: powers of ten, as network rates are told.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    if count < 1000 {
        return format!("{count} B");
    }
    // The first unit in which the rounded number has at most three digits.
    let fits = |size: u64| (u128::from(count) + u128::from(size / 2)) / u128::from(size) < 1000;
    let (name, size) = UNITS
        .into_iter()
        .find(|(_, size)| fits(*size))
        .unwrap_or(("TB", 1_000_000_000_000));
    let (count, size) = (u128::from(count), u128::from(size));
    let tenths = (count * 10 + size / 2) / size;
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", (count + size / 2) / size)
    }
}

/// `0.4 s`, `12 s`, `3 min 5 s`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// `12 MB of 40 MB, 8 MB/s, 4 s left`. Rate and rest are left out while there is too little to tell them from.
pub(super) fn transfer(done: u64, total: u64, elapsed: Duration) -> String {
    let mut text = if total > done {
        format!("{} of {}", bytes(done), bytes(total))
    } else {
        bytes(done)
    };
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if millis < 300 || done == 0 {
        return text;
    }
    let rate = done.saturating_mul(1000) / millis;
    text.push_str(&format_args!(", {}/s", bytes(rate)).to_string());
    if total > done && rate > 0 {
        let left = Duration::from_secs((total - done).div_ceil(rate));
        text.push_str(&format_args!(", {} left", duration(left)).to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1550, "1.6 kB"),
            (20_480, "20 kB"),
            (999_999, "1.0 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a_transfer_tells_rate_and_rest_once_they_are_known() {
        let second = Duration::from_secs(1);
        for (done, total, elapsed, text) in [
            (10, 100, Duration::from_millis(1), "10 B of 100 B"),
            (
                2_000_000,
                10_000_000,
                second,
                "2.0 MB of 10 MB, 2.0 MB/s, 4.0 s left",
            ),
            (10_000_000, 10_000_000, second, "10 MB, 10 MB/s"),
            (1, u64::MAX, second * 1000, "1 B of 18446744 TB, 0 B/s"),
        ] {
            assert_eq!(transfer(done, total, elapsed), text);
        }
        assert_eq!(duration(Duration::from_millis(480)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 5 s");
    }
}
