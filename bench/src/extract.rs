//! The number in another program's output.

/// The last number in `text` that directly follows `pattern`.
///
/// The pattern is plain text. Quotes, colons, equal signs and blanks may stand between it and the
/// number, so that a JSON key is a pattern too. The last one counts: programs that report as
/// they go end with what they found.
pub(crate) fn number_after(text: &str, pattern: &str) -> Option<f64> {
    let found = text.match_indices(pattern).filter_map(|(start, _)| {
        let rest = text.get(start + pattern.len()..)?;
        number(rest.trim_start_matches(|c: char| c.is_whitespace() || "\"':=".contains(c)))
    });
    found.last()
}

/// The number that a text starts with: digits, a point, an exponent; `_` and `,` between digits
/// are not understood.
fn number(text: &str) -> Option<f64> {
    let part_of_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let end = text.find(|c| !part_of_number(c)).unwrap_or(text.len());
    let candidate = text.get(..end)?;
    // A full stop or a word may follow directly: "3.5." or "3.5e".
    let mut cuts = (1..=candidate.len()).rev();
    let value = cuts.find_map(|cut| candidate.get(..cut)?.parse::<f64>().ok());
    value.filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_keys_and_words() {
        for (text, pattern, value) in [
            (r#"{"time_s":10.0,"speed_gib_s":1.25}"#, "speed_gib_s", Some(1.25)),
            (r#"{ "rate" : "2e3" }"#, "rate", Some(2000.0)),
            ("Performance: 450.5 hashes per second", "Performance", Some(450.5)),
            ("speed=3.5.", "speed", Some(3.5)),
            ("speed -7e", "speed", Some(-7.0)),
            ("rate: 1\nrate: 2\nrate: none\n", "rate", Some(2.0)),
            ("12 labels/s", "", Some(2.0)),
            ("rate: fast", "rate", None),
            ("rate", "rate", None),
            ("é1", "é", Some(1.0)),
            ("nothing", "rate", None),
            ("rate 1e999", "rate", None),
        ] {
            assert_eq!(number_after(text, pattern), value, "{pattern:?} in {text:?}");
        }
    }
}
