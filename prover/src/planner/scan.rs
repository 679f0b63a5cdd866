//! How long a scan takes for any number of nonces, from what was measured for some.

use super::{BadNumber, positive};

/// How fast labels are scanned from memory for so many nonces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanRate {
    /// Nonces of a pass.
    pub nonces: u32,
    /// Bytes a second.
    pub bytes: f64,
}

impl ScanRate {
    /// Bytes a second for so many nonces, from what was measured for some.
    ///
    /// # Errors
    /// [`BadNumber`]: nothing was measured, or a rate is not above 0.
    pub fn of(rates: &[Self], nonces: u32) -> Result<f64, BadNumber> {
        Ok(1.0 / seconds_a_byte(rates, nonces)?)
    }
}

/// Seconds that a byte takes: straight lines between what was measured. More nonces never take
/// less; beyond the last measurement, and before the first one, each takes its share.
pub(super) fn seconds_a_byte(rates: &[ScanRate], nonces: u32) -> Result<f64, BadNumber> {
    let mut points = Vec::new();
    for rate in rates {
        positive("a scan's rate", rate.bytes)?;
        positive("a scan's nonces", rate.nonces.into())?;
        points.push((f64::from(rate.nonces), 1.0 / rate.bytes));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Noise must not make more nonces look cheaper.
    let mut most = 0.0_f64;
    for (_, cost) in &mut points {
        most = most.max(*cost);
        *cost = most;
    }
    let wanted = f64::from(nonces);
    let after = points.iter().position(|(at, _)| *at >= wanted);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err(BadNumber { what: "measured scan rates", found: 0.0, wanted: "one is needed" });
    };
    Ok(match after.map(|place| (place.checked_sub(1).and_then(|at| points.get(at)), place)) {
        Some((Some((x, low)), place)) => {
            let (end, high) = points.get(place).copied().unwrap_or(*last);
            low + (high - low) * (wanted - x) / (end - x)
        }
        Some((None, _)) => first.1 * wanted / first.0,
        None => last.1 * wanted / last.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(nonces: u32, bytes: f64) -> ScanRate {
        ScanRate { nonces, bytes }
    }

    #[test]
    fn between_measurements_lines_are_straight() {
        let rates = [rate(128, 0.5), rate(64, 1.0)];
        let of = |nonces| seconds_a_byte(&rates, nonces).unwrap();
        assert_eq!([of(64), of(96), of(128), of(256), of(32)], [1.0, 1.5, 2.0, 4.0, 0.5]);
    }

    #[test]
    fn noise_does_not_make_nonces_cheaper() {
        let rates = [rate(64, 1.0), rate(128, 1.25)];
        assert_eq!(seconds_a_byte(&rates, 128), Ok(1.0));
    }

    #[test]
    fn what_was_not_measured_is_not_known() {
        assert!(seconds_a_byte(&[], 64).is_err());
        assert!(seconds_a_byte(&[rate(64, 0.0)], 64).is_err());
        assert!(seconds_a_byte(&[rate(0, 1.0)], 64).is_err());
    }
}
