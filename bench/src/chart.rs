//! Results as a picture: bars with the mark of their limit, in an SVG that follows the reader's
//! light or dark, and says its units in words. No script, no font, nothing from outside.

use crate::recorded::{key, number, text};
use serde_json::Value;
use std::fmt::Write;

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// Bars of a group stand together and have one scale.
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// The smallest and the largest value that were seen.
    pub(crate) spread: Option<[f64; 2]>,
    /// Where the mark of the limit stands.
    pub(crate) limit: Option<f64>,
    /// What is said behind the value.
    pub(crate) note: String,
}

/// The picture of results, as they stand in a file.
pub(crate) fn of_results(results: &[Value]) -> String {
    let bars: Vec<_> = results.iter().flat_map(bars_of).collect();
    draw("postmesh-bench", &origin(results), "the limit", &bars)
}

/// Where results come from, in a line.
pub(crate) fn origin(results: &[Value]) -> String {
    let Some(first) = results.first() else { return String::new() };
    let machine = &first["machine"];
    let mut parts: Vec<String> = text(machine, "cpu").into_iter().collect();
    parts.extend(number(machine, "cores").map(|cores| format!("{cores} cores")));
    parts.extend(number(machine, "load").map(|load| format!("load {load} before")));
    parts.extend(text(first, "date").map(|date| format!("{date} UTC")));
    parts.extend(text(first, "version").map(|version| format!("postmesh {version}")));
    parts.join(" · ")
}

fn bars_of(result: &Value) -> Vec<Bar> {
    let (Some(value), Some(unit)) = (number(result, "rate"), text(result, "unit")) else {
        return Vec::new();
    };
    let bench = text(result, "bench").unwrap_or_default();
    let group = match bench.as_str() {
        "device" => "GPU memory, copied: GiB read and written a second",
        "init" => "Labels made a second",
        "prove" => "Labels scanned for a proof, GiB a second",
        "pow" => "RandomX hashes a second",
        "disk" => "Disk, read in order, GiB a second",
        _ => bench.as_str(),
    };
    let spread = number(result, "rate_min").zip(number(result, "rate_max"));
    let share = number(result, "ratio_to_limit");
    let share = share.map(|ratio| format!("{:.0} % of the limit", ratio * 100.0));
    let bar = Bar {
        group: group.to_owned(),
        name: key(result),
        value,
        unit,
        spread: spread.map(|(low, high)| [low, high]),
        limit: number(result, "limit"),
        note: share.unwrap_or_default(),
    };
    let operations = number(result, "operations_per_second").filter(|_| bench == "device");
    let arithmetic = operations.map(|rate| Bar {
        group: "GPU arithmetic: G operations a second (add, xor, rotate)".to_owned(),
        name: bar.name.clone(),
        value: rate / 1e9,
        unit: "G/s".to_owned(),
        spread: None,
        limit: None,
        note: String::new(),
    });
    [bar].into_iter().chain(arithmetic).collect()
}

const WIDTH: f64 = 860.0;
/// Where bars begin, and the longest one.
const LEFT: f64 = 290.0;
const LONGEST: f64 = 300.0;
const ROW: f64 = 26.0;
const BAR: f64 = 14.0;
/// Letters of a name that fit before the bars.
const NAME_LETTERS: usize = 40;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1c2430}\
.paper{fill:#fff}.title{font-size:18px;font-weight:600}.group{font-weight:600}\
.small{fill:#5a6675;font-size:12px}.bar{fill:#2f6fb7}\
.spread{stroke:#1c2430;stroke-width:1.5}.limit{stroke:#c2410c;stroke-width:2}\
.limit-text{fill:#c2410c;font-size:12px}\
@media (prefers-color-scheme:dark){text{fill:#e6eaf0}.paper{fill:#14181f}.small{fill:#9aa6b5}\
.bar{fill:#5b9be0}.spread{stroke:#e6eaf0}.limit{stroke:#fb923c}.limit-text{fill:#fb923c}}";

/// The picture of bars, in the order of their groups; `mark` is what the marks of limits stand for.
pub(crate) fn draw(title: &str, subtitle: &str, mark: &str, bars: &[Bar]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for bar in bars {
        if !groups.contains(&bar.group.as_str()) {
            groups.push(&bar.group);
        }
    }
    let mut body = String::new();
    let mut y = 96.0;
    for group in groups {
        let members: Vec<_> = bars.iter().filter(|bar| bar.group == group).collect();
        line(&mut body, "group", 16.0, y, group);
        y += 10.0;
        let ends = members.iter().flat_map(|bar| {
            [Some(bar.value), bar.limit, bar.spread.map(|[_, high]| high)].into_iter().flatten()
        });
        let longest = ends.fold(f64::MIN_POSITIVE, f64::max);
        for bar in members {
            row(&mut body, bar, y, LONGEST / longest);
            y += ROW;
        }
        y += 26.0;
    }
    let mut out = String::new();
    let label = escaped(title);
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" \
         height=\"{y}\" role=\"img\" aria-label=\"{label}\">\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{y}\"/>\n"
    );
    line(&mut out, "title", 16.0, 28.0, title);
    line(&mut out, "small", 16.0, 48.0, subtitle);
    if bars.iter().any(|bar| bar.limit.is_some()) {
        line(&mut out, "limit-text", LEFT, 70.0, &format!("| {mark}"));
    }
    if bars.iter().any(|bar| bar.spread.is_some()) {
        line(&mut out, "small", LEFT + 110.0, 70.0, "— the range that was seen");
    }
    out.push_str(&body);
    out.push_str("</svg>\n");
    out
}

/// A bar with its name before it and its value behind it; `scale` is points for a unit.
fn row(out: &mut String, bar: &Bar, y: f64, scale: f64) {
    let (middle, length) = (y + ROW / 2.0, bar.value * scale);
    let top = middle - BAR / 2.0;
    let mut name: String = bar.name.chars().take(NAME_LETTERS).collect();
    if name.len() < bar.name.len() {
        name.push('…');
    }
    line(out, "name", 16.0, middle + 4.5, &name);
    let whole = escaped(&format!("{}: {} {}", bar.name, short(bar.value), bar.unit));
    let _ = writeln!(
        out,
        "<rect class=\"bar\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{BAR}\" \
         rx=\"2\"><title>{whole}</title></rect>"
    );
    if let Some([low, high]) = bar.spread {
        let (low, high) = (LEFT + low * scale, LEFT + high * scale);
        stroke(out, "spread", [low, middle, high, middle]);
    }
    if let Some(limit) = bar.limit {
        let at = LEFT + limit * scale;
        stroke(out, "limit", [at, top - 3.0, at, top + BAR + 3.0]);
    }
    let mut said = format!("{} {}", short(bar.value), bar.unit);
    if !bar.note.is_empty() {
        let _ = write!(said, ", {}", bar.note);
    }
    line(out, "value", LEFT + LONGEST + 14.0, middle + 4.5, &said);
}

fn stroke(out: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn line(out: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let words = escaped(words);
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>");
}

/// A number as people read it: three digits that matter, thousands apart.
pub(crate) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if place > 0 && left.is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// Text in which no letter means anything to XML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no other control characters, not even escaped.
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use roxmltree::{Document, Node};
    use serde_json::json;

    fn numbers(node: Node<'_, '_>, names: [&str; 2]) -> [f64; 2] {
        names.map(|name| node.attribute(name).unwrap().parse().unwrap())
    }

    fn of_class<'a>(document: &'a Document<'_>, class: &'static str) -> Vec<Node<'a, 'a>> {
        let nodes = document.descendants();
        nodes.filter(|node| node.attribute("class") == Some(class)).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let result = |threads, rate, limit| {
            json!({"bench": "init", "rate": rate, "unit": "labels/s", "threads": threads,
                "limit": limit, "ratio_to_limit": rate / limit, "rate_min": rate / 2.0,
                "rate_max": rate, "machine": {"cpu": "A <fast> \"CPU\" & more\u{1}", "cores": 2}})
        };
        let picture = of_results(&[result(1, 500.0, 2000.0), result(2, 1000.0, 4000.0)]);
        let document = Document::parse(&picture).unwrap();
        let bars = of_class(&document, "bar");
        let lengths: Vec<_> = bars.iter().map(|bar| numbers(*bar, ["x", "width"])).collect();
        assert_eq!(lengths, [[LEFT, LONGEST / 8.0], [LEFT, LONGEST / 4.0]]);
        let limits = of_class(&document, "limit");
        let limits: Vec<_> = limits.iter().map(|mark| numbers(*mark, ["x1", "x2"])[0]).collect();
        assert_eq!(limits, [LEFT + LONGEST / 2.0, LEFT + LONGEST]);
        let words =
            |class| of_class(&document, class).iter().map(|it| it.text()).collect::<Vec<_>>();
        let small = [Some("A <fast> \"CPU\" & more  · 2 cores"), Some("— the range that was seen")];
        assert_eq!(words("small"), small);
        assert_eq!(words("limit-text"), [Some("| the limit")]);
        assert_eq!(words("value")[0], Some("500 labels/s, 25 % of the limit"));
    }

    #[test]
    fn what_has_no_rate_has_no_bar() {
        let nothing = json!({"bench": "device", "rate": null, "unit": "GiB/s"});
        for picture in [of_results(&[nothing]), of_results(&[])] {
            let document = Document::parse(&picture).unwrap();
            assert!(of_class(&document, "bar").is_empty());
        }
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0123, 1.234, 12.34, 999.6, 1234.5, 1_234_567.0];
        let expected = ["0.012", "1.23", "12.3", "1,000", "1,234", "1,234,567"];
        assert_eq!(numbers.map(short), expected);
    }
}
