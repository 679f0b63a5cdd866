//! Results that were written down: a line each, or the document of `all`.

use crate::outcome::{Failure, Result, because};
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes of a file of results.
const BYTES_MAX: u64 = 64 << 20;

/// The results in a file, in order.
pub(crate) fn read(path: &Path) -> Result<Vec<Value>> {
    let name = path.display();
    let cannot = || because(format!("{name} cannot be read"));
    let mut text = String::new();
    let file = File::open(path).map_err(cannot())?;
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(cannot())?;
    let results = parse(&text)
        .map_err(|error| Failure::usage(format!("{name} holds no results: {error}")))?;
    if results.is_empty() {
        return Err(Failure::usage(format!("{name} holds no results")));
    }
    Ok(results)
}

/// The results in a text: a document, or any number of objects.
fn parse(text: &str) -> serde_json::Result<Vec<Value>> {
    let mut results = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value?;
        match value.get("results").and_then(Value::as_array) {
            Some(inner) => results.extend(inner.iter().cloned()),
            None => results.push(value),
        }
    }
    results.retain(|result| result.get("bench").is_some_and(Value::is_string));
    Ok(results)
}

/// What a result measured, apart from how fast that was: results with the same key are compared.
pub(crate) fn key(result: &Value) -> String {
    let mut words = vec![text(result, "bench").unwrap_or_default()];
    words.extend(text(result, "device").filter(|device| device != "cpu"));
    words.extend(text(result, "mode"));
    for (name, unit) in [("nonces", "nonces"), ("scrypt_n", "N =")] {
        let Some(value) = number(result, name) else { continue };
        words.push(if unit.ends_with('=') {
            format!("{unit} {value}")
        } else {
            format!("{value} {unit}")
        });
    }
    let is_of_cpu = ["init", "prove", "pow"].contains(&words[0].as_str());
    let is_gpu = words.get(1).is_some_and(|word| word.starts_with("gpu"));
    if let Some(threads) = number(result, "threads").filter(|_| is_of_cpu && !is_gpu) {
        let plural = if threads > 1.0 { "s" } else { "" };
        words.push(format!("{threads} thread{plural}"));
    }
    words.join(", ")
}

pub(crate) fn text(result: &Value, name: &str) -> Option<String> {
    result.get(name)?.as_str().map(str::to_owned)
}

pub(crate) fn number(result: &Value, name: &str) -> Option<f64> {
    result.get(name)?.as_f64().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_and_documents_are_read_alike() {
        let lines = "{\"bench\":\"init\",\"rate\":1}\n{\"bench\":\"pow\",\"rate\":2}\n";
        let document = json!({"bench": "all", "results": parse(lines).unwrap()});
        assert_eq!(parse(&document.to_string()).unwrap(), parse(lines).unwrap());
        assert_eq!(parse(lines).unwrap().len(), 2);
        assert!(parse("nonsense").is_err());
        assert!(parse("{\"rate\":1}").unwrap().is_empty());
    }

    #[test]
    fn a_key_says_what_was_measured() {
        for (result, expected) in [
            (json!({"bench": "init", "threads": 2, "scrypt_n": 8192}), "init, N = 8192, 2 threads"),
            (
                json!({"bench": "prove", "device": "cpu", "threads": 1, "nonces": 64}),
                "prove, 64 nonces, 1 thread",
            ),
            (
                json!({"bench": "init", "device": "gpu:x", "threads": 1, "scrypt_n": 16}),
                "init, gpu:x, N = 16",
            ),
            (json!({"bench": "pow", "mode": "fast", "threads": 2}), "pow, fast, 2 threads"),
            (json!({"bench": "disk", "threads": 4}), "disk"),
            (json!({}), ""),
        ] {
            assert_eq!(key(&result), expected);
        }
    }
}
