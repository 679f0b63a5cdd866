//! Values that are typed: numbers with bounds, sizes, times, devices.

use post::{Nonce, ScryptN};
use std::time::Duration;

/// The longest measurement: a day.
const SECONDS_MAX: f64 = 86_400.0;

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = positive(text)?;
    if seconds > SECONDS_MAX {
        return Err(format!("at most {SECONDS_MAX} (a day)"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be above 0".to_owned()) }
}

pub(crate) fn scrypt_n(text: &str) -> Result<ScryptN, String> {
    let n = text.parse().map_err(|_| "not a number".to_owned())?;
    ScryptN::new(n).map_err(|error| error.to_string())
}

pub(crate) fn nonces(text: &str) -> Result<u32, String> {
    let nonces: u32 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = nonces.is_multiple_of(Nonce::PER_GROUP) && (1..=Nonce::END).contains(&nonces);
    let range = || format!("a multiple of {} up to {}", Nonce::PER_GROUP, Nonce::END);
    if fits { Ok(nonces) } else { Err(range()) }
}

/// A scan's rate in GiB a second for so many nonces: `0.9@128`.
pub(crate) fn scan_rate(text: &str) -> Result<(u32, f64), String> {
    let example = "give GiB/s and nonces, as in 0.9@128";
    let (rate, count) = text.split_once('@').ok_or(example)?;
    let rate = positive(rate).map_err(|error| format!("{error}: {example}"))?;
    Ok((nonces(count)?, rate))
}

/// A time span: a number with s, min, h or d.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic() || c == ' ');
    let unit = match text.get(digits.len()..).unwrap_or_default().trim() {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err("give a number with s, min, h or d, as in 12h".to_owned()),
    };
    let seconds = positive(digits)? * unit;
    // A thousand years: more is a mistake.
    if seconds > 3.2e10 {
        return Err("out of range".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A number of bytes, plain or with a binary suffix.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let suffix = text.get(digits.len()..).unwrap_or_default().trim();
    let shift = match suffix {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err("give bytes, or a number with KiB, MiB, GiB or TiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number".to_owned())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or("out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_suffixes() {
        for (text, size) in [("1", 1), ("4096", 4096), ("3KiB", 3072), ("2 MiB", 2 << 20)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "0", "-1", "1GB", "MiB", "1.5GiB", "99999999999TiB", "é"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(nonces("288"), Ok(288));
        for text in ["0", "8", "17", "4112", "x"] {
            assert!(nonces(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_have_units() {
        assert_eq!(span("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(span("1.5 min"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2d").map(|span| span.as_secs()), Ok(172_800));
        for text in ["12", "h", "-1h", "0h", "1y", "1e30d", "nand"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn scan_rates_name_their_nonces() {
        assert_eq!(scan_rate("0.9@128"), Ok((128, 0.9)));
        for text in ["0.9", "0@128", "1@100", "@16", "x@16"] {
            assert!(scan_rate(text).is_err(), "{text}");
        }
    }
}
