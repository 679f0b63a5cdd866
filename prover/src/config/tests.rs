//! What a configuration file may say, and who has the last word.

use super::*;
use crate::args::NoncesArg;
use std::path::PathBuf;

/// A file in a directory of its own.
struct Home(tempfile::TempDir);

impl Home {
    fn with(text: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::write(home.path(), text).unwrap();
        home
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("prover.toml")
    }

    fn typed(&self, flags: &[&str]) -> Vec<OsString> {
        let path = self.path();
        let first = ["postmesh-prover", SERVE, "--config", path.to_str().unwrap()];
        first.iter().chain(flags).map(OsString::from).collect()
    }

    fn serve(&self, flags: &[&str]) -> ServeArgs {
        let Ok(resolved) = Resolved::of(&self.typed(flags)) else { panic!("refused") };
        match resolved.args().unwrap().command {
            Typed::Serve(args) => args,
            _ => panic!("no serve"),
        }
    }

    fn refused(&self) -> String {
        match Resolved::of(&self.typed(&[])) {
            Err(Refusal::File(Failure::Usage(why))) => why,
            _ => panic!("taken"),
        }
    }

    fn lines(&self, flags: &[&str], origin: bool) -> Vec<String> {
        let Ok(resolved) = Resolved::of(&self.typed(flags)) else { panic!("refused") };
        resolved.entries().unwrap().iter().map(|entry| entry.line(origin)).collect()
    }
}

const WHOLE: &str = r#"
# What a person wrote.
data-dir = ["/mnt/a", "path=/mnt/b,size=2TB"]
nonces = 0x120
device = "cpu"
polite = true
duty = 40
"#;

#[test]
fn what_the_file_says_is_what_serve_does() {
    let args = Home::with(WHOLE).serve(&[]);
    assert_eq!(args.data.data_dir.len(), 2);
    assert_eq!((args.proving.nonces, args.work.duty), (NoncesArg::Of(288), Some(40)));
    assert_eq!(args.work.device, [crate::args::DeviceArg::Cpu]);
    assert!(args.work.polite && !args.work.background);
    assert_eq!(args.work.threads, None);
}

#[test]
fn what_was_typed_has_the_last_word() {
    let flags = ["--nonces", "64", "--polite=false", "--data-dir", "/mnt/c", "--background"];
    let args = Home::with(WHOLE).serve(&flags);
    assert_eq!((args.proving.nonces, args.data.data_dir.len()), (NoncesArg::Of(64), 1));
    assert!(!args.work.polite && args.work.background);
    assert_eq!(args.work.duty, Some(40));
}

#[test]
fn what_is_not_understood_is_named_with_its_line() {
    for (text, part) in [
        ("\n\nnoncse = 3\n", ":3: unknown key `noncse`; there are: data-dir, "),
        ("nonces = \"many\"", ":1: `nonces` cannot be taken: invalid value 'many' for '--nonces"),
        ("duty = 101", ":1: `duty` cannot be taken: invalid value '101'"),
        (
            "\ndevice = [\"cpu\", \"abacus\"]",
            ":2: `device` cannot be taken: invalid value 'abacus'",
        ),
        ("polite = \"yes\"", ":1: `polite` is true or false"),
        ("nonces = [1, 2]", ":1: `nonces` is one text or number"),
        ("data-dir = [1979-05-27]", ":1: `data-dir` is a list of texts or numbers"),
        ("data-dir = true", ":1: `data-dir` is a text or a number, or a list of them"),
        ("config = \"other.toml\"", ":1: unknown key `config`"),
        ("[work]\nduty = 4", ":1: unknown key `work`"),
        ("duty = 4\nduty = 5", ":2: duplicate key"),
        ("duty = \n", ":1: "),
    ] {
        let home = Home::with(text);
        let why = home.refused();
        let expected = format!("{}{part}", home.path().display());
        assert!(why.starts_with(&expected), "{text}\n{why}\n{expected}");
    }
}

#[test]
fn a_file_that_was_named_must_be_there_and_small() {
    let home = Home::with("");
    std::fs::remove_file(home.path()).unwrap();
    assert!(home.refused().contains("cannot be read"));
    std::fs::write(home.path(), "#".repeat(1 + (BYTES_MAX as usize))).unwrap();
    assert!(home.refused().contains("longer than"));
}

#[test]
fn what_no_file_and_nobody_says_is_asked_for() {
    let home = Home::with("nonces = 64");
    let Ok(resolved) = Resolved::of(&home.typed(&[])) else { panic!("refused") };
    let error = resolved.args().unwrap_err();
    assert!(error.to_string().contains("--data-dir"), "{error}");
}

#[test]
fn each_value_says_where_it_comes_from() {
    let home = Home::with(WHOLE);
    let lines = home.lines(&["--duty=70"], true);
    let path = home.path().display().to_string();
    let line = |key: &str| lines.iter().find(|line| line.starts_with(key)).unwrap().clone();
    assert!(line("nonces").starts_with("nonces = 288 "), "{}", line("nonces"));
    assert!(line("nonces").ends_with(&format!("# file: {path}:4")), "{}", line("nonces"));
    assert!(line("duty").starts_with("duty = 70 ") && line("duty").ends_with("# flag"));
    assert!(line("randomx").ends_with("# default"), "{}", line("randomx"));
    assert!(lines.contains(&"# threads is not set".to_owned()), "{lines:?}");
}

/// What is shown can be taken as a file, and then means the same.
#[test]
fn what_is_shown_is_a_file() {
    let lines = Home::with(WHOLE).lines(&[], false);
    let again = Home::with(&lines.join("\n")).lines(&[], false);
    assert_eq!(again, lines);
}

#[test]
fn a_file_is_read_again_when_asked() {
    let home = Home::with(WHOLE);
    let args = home.serve(&[]);
    std::fs::write(home.path(), WHOLE.replace("40", "60")).unwrap();
    assert_eq!(again(&args).ok().map(|args| args.work.duty), Some(Some(60)));
    std::fs::write(home.path(), "duty = 0").unwrap();
    assert!(matches!(again(&args), Err(Failure::Usage(why)) if why.contains("duty")));
}

/// Each flag of `serve` is a key, and the page for people has all keys and no others.
#[test]
fn the_page_has_every_key() {
    let rows = crate::control::documented("## Configuration");
    let documented: Vec<&str> = rows.iter().filter_map(|row| row.split('`').nth(1)).collect();
    let keys: Vec<String> = keys().into_iter().map(|(key, _)| key).collect();
    assert_eq!(documented, keys, "docs/service.md, the table of keys");
}
