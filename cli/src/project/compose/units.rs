//! Sizes and durations as people write them in Compose files.
//!
//! In: text. Out: bytes, nanoseconds, and durations in the notation of the device (`1m30s`).

/// Bytes: a number with an optional unit, of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let power = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    scaled(number, 1024_u64.pow(power))
}

/// Nanoseconds: numbers with units, largest first or not.
pub(super) fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let scale = match unit.trim_end() {
            "ns" => 1,
            "us" | "µs" | "μs" => MICRO,
            "ms" => MILLI,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            "d" => 86_400 * SECOND,
            "w" => 604_800 * SECOND,
            _ => return None,
        };
        total = total.checked_add(scaled(number, scale)?)?;
        rest = after;
    }
    Some(total)
}

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// A decimal number times a scale, exact; digits below the unit are cut off.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: String = fraction.chars().take(15).collect();
    let numerator: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let denominator = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = u64::try_from(numerator * u128::from(scale) / denominator).ok()?;
    whole.checked_mul(scale)?.checked_add(part)
}

/// A duration as the device writes it.
pub(super) fn duration_text(nanoseconds: u64) -> String {
    let with_fraction = |unit: u64, name: &str| {
        let digits = match unit {
            MICRO => 3,
            MILLI => 6,
            _ => 9,
        };
        let fraction = format!("{:0digits$}", nanoseconds % unit);
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        (dot.to_owned() + fraction + name, nanoseconds / unit)
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..MICRO => format!("{nanoseconds}ns"),
        MICRO..MILLI => {
            let (fraction, whole) = with_fraction(MICRO, "µs");
            format!("{whole}{fraction}")
        }
        MILLI..SECOND => {
            let (fraction, whole) = with_fraction(MILLI, "ms");
            format!("{whole}{fraction}")
        }
        _ => {
            let (fraction, seconds) = with_fraction(SECOND, "s");
            let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
            let seconds = seconds % 60;
            match (hours, minutes) {
                (0, 0) => format!("{seconds}{fraction}"),
                (0, minutes) => format!("{minutes}m{seconds}{fraction}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}{fraction}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("64", Some(64)),
            ("64b", Some(64)),
            ("2k", Some(2048)),
            ("64m", Some(64 << 20)),
            ("1.5GB", Some(3 << 29)),
            ("1 GiB", Some(1 << 30)),
            ("2T", Some(2 << 40)),
            ("", None),
            ("m", None),
            (".", None),
            ("-1", None),
            ("1x", None),
            ("99999999999999999999", None),
            ("99999999999t", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("10s", Some("10s")),
            ("90s", Some("1m30s")),
            ("1h", Some("1h0m0s")),
            ("1.5h", Some("1h30m0s")),
            ("1m30s", Some("1m30s")),
            ("1500ms", Some("1.5s")),
            ("100us", Some("100µs")),
            ("1500us", Some("1.5ms")),
            ("0s", Some("0s")),
            ("1d", Some("24h0m0s")),
            ("7ns", Some("7ns")),
            ("10", None),
            ("", None),
            ("s", None),
            ("1x", None),
            ("-1s", None),
            ("99999999999h", None),
        ] {
            assert_eq!(
                nanoseconds(text).map(duration_text).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(value in any::<u64>()) {
            prop_assert_eq!(nanoseconds(&duration_text(value)), Some(value));
        }

        #[test]
        fn any_text_ends(text in "\\PC{0,30}") {
            let _outcome = (bytes(&text), nanoseconds(&text));
        }
    }
}
