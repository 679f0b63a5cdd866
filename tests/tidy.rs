//! Style that a machine can check, over every file that git tracks or would track.
//!
//! Each rule looks at one file and names lines; each has a planted fault at the end of this file,
//! so that no rule passes by finding nothing. Formatting belongs to rustfmt and most habits to
//! clippy (`Cargo.toml`, `clippy.toml`): here stands only what they do not see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// From `fn` to the closing brace, so that a function fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Two files fit beside each other on a screen.
const LINE_CHARS_MAX: usize = 100;

/// Marks of work left undone; written in halves, so that this file passes its own rule.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
];

/// Files that people write. Vectors, pictures and recorded bytes are not read.
const WRITTEN: &[&str] = &["css", "html", "js", "md", "rs", "sh", "toml", "wgsl", "yml"];
const WRITTEN_WITHOUT_EXTENSION: &[&str] = &["Makefile", ".ci/run", ".gitignore"];

/// A file as the rules see it.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

/// A line, counted from one, and what is wrong with it.
type Finding = (usize, String);
type Rule = fn(&Source<'_>) -> Vec<Finding>;

#[test]
fn lines_are_short() {
    hold(long_lines);
}

#[test]
fn functions_are_short() {
    hold(long_functions);
}

#[test]
fn files_say_what_they_are() {
    hold(silent_openings);
}

#[test]
fn nothing_is_left_undone() {
    hold(leftovers);
}

#[test]
fn indentation_is_made_of_spaces() {
    hold(tabs);
}

#[test]
fn files_end_with_a_newline() {
    hold(unfinished_last_lines);
}

#[test]
fn links_between_pages_lead_somewhere() {
    hold(dead_links);
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Files of the repository, relative to [`root`] and sorted: tracked ones and new ones that git
/// does not ignore. Without git (an unpacked archive), all that lies here and is not ignored.
pub(crate) fn tracked() -> Vec<PathBuf> {
    let mut files = git_files().unwrap_or_else(|| {
        let mut found = Vec::new();
        walk(Path::new(""), &ignored(), &mut found);
        found
    });
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    assert!(!files.is_empty(), "no files in {}", root().display());
    files
}

/// Fails with all `faults`, one a line.
pub(crate) fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn hold(rule: Rule) {
    let mut faults = Vec::new();
    for path in tracked().iter().filter(|path| is_written(path)) {
        match fs::read_to_string(root().join(path)) {
            Ok(text) => faults.extend(
                rule(&Source { path, text: &text })
                    .iter()
                    .map(|(line, what)| format!("{}:{line}: {what}", path.display())),
            ),
            Err(error) => faults.push(format!("{}:1: cannot be read: {error}", path.display())),
        }
    }
    report(&faults);
}

fn long_lines(source: &Source<'_>) -> Vec<Finding> {
    if !has_extension(source.path, &["rs", "wgsl"]) {
        return Vec::new();
    }
    find_lines(source, |line| {
        let chars = line.chars().count();
        (chars > LINE_CHARS_MAX).then(|| format!("{chars} columns, {LINE_CHARS_MAX} are allowed"))
    })
}

fn tabs(source: &Source<'_>) -> Vec<Finding> {
    if !has_extension(source.path, &["rs", "wgsl", "toml"]) {
        return Vec::new();
    }
    find_lines(source, |line| line.contains('\t').then(|| "a tab character".to_owned()))
}

fn leftovers(source: &Source<'_>) -> Vec<Finding> {
    let is_part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '!';
    find_lines(source, |line| {
        line.split(|c| !is_part_of_word(c))
            .find(|word| {
                LEFTOVERS.contains(word) || LEFTOVERS.contains(&word.trim_end_matches('!'))
            })
            .map(|word| format!("{word}: finish it, or open an issue"))
    })
}

fn silent_openings(source: &Source<'_>) -> Vec<Finding> {
    let opening = match source.path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => "//!",
        Some("wgsl") => "//",
        _ => return Vec::new(),
    };
    if source.text.starts_with(opening) {
        return Vec::new();
    }
    vec![(1, format!("the first line says what the file is for, after `{opening}`"))]
}

fn unfinished_last_lines(source: &Source<'_>) -> Vec<Finding> {
    if source.text.is_empty() || source.text.ends_with('\n') {
        return Vec::new();
    }
    vec![(source.text.lines().count(), "the last line has no newline".to_owned())]
}

/// Functions outside tests; a test may tell a long story (clippy still bounds it).
fn long_functions(source: &Source<'_>) -> Vec<Finding> {
    if !has_extension(source.path, &["rs"]) || is_test_file(source.path) {
        return Vec::new();
    }
    let file = match syn::parse_file(source.text) {
        Ok(file) => file,
        Err(error) => return vec![(error.span().start().line, format!("is no Rust: {error}"))],
    };
    let mut long = LongFunctions::default();
    long.visit_file(&file);
    long.found
}

/// Relative links and pictures of Markdown pages whose file is not there.
fn dead_links(source: &Source<'_>) -> Vec<Finding> {
    if !has_extension(source.path, &["md"]) {
        return Vec::new();
    }
    let folder = root().join(source.path.parent().unwrap_or(Path::new("")));
    let mut in_code = false;
    let mut found = Vec::new();
    for (number, line) in numbered(source.text) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(&without_code(line)) {
            if !folder.join(&target).exists() {
                found.push((number, format!("the link to {target} leads nowhere")));
            }
        }
    }
    found
}

/// Files a line of Markdown links to: `[text](file)`, `[text](file#part "title")`, `[name]: file`.
fn targets(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let reference = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .map(|(_, target)| target.trim());
    inline
        .chain(reference)
        .filter_map(|target| target.split([' ', '#']).next())
        .map(|target| target.trim_matches(['<', '>']))
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .map(str::to_owned)
        .collect()
}

/// A line of Markdown without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[derive(Default)]
struct LongFunctions {
    found: Vec<Finding>,
}

impl LongFunctions {
    fn measure(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.span().start().line;
        let lines = body.span().end().line - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = &signature.ident;
            let what = format!("fn {name} has {lines} lines, {FUNCTION_LINES_MAX} are allowed");
            self.found.push((first, what));
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.measure(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.measure(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let names_test = path.segments.last().is_some_and(|last| last.ident == "test");
        let only_in_tests = path.is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|when| when.is_ident("test"));
        names_test || only_in_tests
    })
}

fn is_test_file(path: &Path) -> bool {
    path.ends_with("tests.rs")
        || path.components().any(|part| {
            ["tests", "benches", "examples"].iter().any(|aside| part.as_os_str() == *aside)
        })
}

fn is_written(path: &Path) -> bool {
    has_extension(path, WRITTEN)
        || WRITTEN_WITHOUT_EXTENSION.iter().any(|name| path == Path::new(name))
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension))
}

fn find_lines(source: &Source<'_>, fault: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    numbered(source.text)
        .filter_map(|(number, line)| fault(line).map(|what| (number, what)))
        .collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// `None` where there is no git or no repository.
fn git_files() -> Option<Vec<PathBuf>> {
    if !root().join(".git").exists() {
        return None;
    }
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let names = String::from_utf8(output.stdout).ok()?;
    Some(names.split_terminator('\0').map(PathBuf::from).collect())
}

/// The folders that `.gitignore` names; its lines are all of the form `/folder/`.
fn ignored() -> Vec<PathBuf> {
    let text = fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    text.lines().map(|line| PathBuf::from(line.trim_matches('/'))).collect()
}

fn walk(folder: &Path, ignored: &[PathBuf], found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = folder.join(entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if path == Path::new(".git") || ignored.contains(&path) {
            continue;
        }
        if is_folder {
            walk(&path, ignored, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn each_rule_finds_the_fault_it_is_for() {
    let wide = format!("//! {}\n", "é".repeat(LINE_CHARS_MAX));
    let long = format!("//! Doc.\nimpl S {{\nfn f() {{{}}}\n}}\n", "\n".repeat(FUNCTION_LINES_MAX));
    let undone = format!("//! Doc.\n// {}: later.\n", LEFTOVERS[0]);
    let unwritten = format!("//! Doc.\nfn f() {{ {}() }}\n", LEFTOVERS[4]);
    let planted: [(Rule, &str, &str, usize); 10] = [
        (long_lines, "a.rs", &wide, 1),
        (long_functions, "a.rs", &long, 3),
        (long_functions, "a.rs", "//! Doc.\nfn f(;) {}\n", 2),
        (silent_openings, "a.rs", "\n//! Late.\n", 1),
        (leftovers, "a.rs", &undone, 2),
        (leftovers, "a.rs", &unwritten, 2),
        (tabs, "a.rs", "//! Doc.\n\tfn f() {}\n", 2),
        (unfinished_last_lines, "a.md", "One.\nTwo.", 2),
        (dead_links, "a.md", "See [this](nowhere.md#part).\n", 1),
        (dead_links, "a.md", "See [this][1].\n\n[1]: nowhere.md\n", 3),
    ];
    for (rule, path, text, line) in planted {
        let found = rule(&Source { path: Path::new(path), text });
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [line], "in {text:?}: {found:?}");
    }
}

#[test]
fn no_rule_finds_fault_with_what_is_allowed() {
    let wide = format!("//! {}\n", "é".repeat(LINE_CHARS_MAX - 4));
    let long = format!("//! Doc.\nfn f() {{{}}}\n", "\n".repeat(FUNCTION_LINES_MAX - 1));
    let test = format!("//! Doc.\n#[test]\nfn f() {{{}}}\n", "\n".repeat(FUNCTION_LINES_MAX));
    let linked = "`[a](b)`, [web](https://example.org/x), [up](#part), [here](Cargo.toml).\n";
    let fenced = "```\n[a](nowhere)\n```\n";
    let allowed: [(Rule, &str, &str); 6] = [
        (long_lines, "a.rs", &wide),
        (long_functions, "a.rs", &long),
        (long_functions, "a.rs", &test),
        (leftovers, "a.sh", "mktemp name.XXXXXX\n"),
        (dead_links, "a.md", linked),
        (dead_links, "a.md", fenced),
    ];
    for (rule, path, text) in allowed {
        let found = rule(&Source { path: Path::new(path), text });
        assert!(found.is_empty(), "in {text:?}: {found:?}");
    }
}
