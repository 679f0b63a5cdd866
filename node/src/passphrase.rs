//! Where passphrases come from: a file, or the terminal.

use crate::args::PassphraseArgs;
use crate::keys;
use crate::outcome::{Result, WrongUsage};
use anyhow::{Context, anyhow};
use chain::{Identity, NotOpened, SealedKey};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Most bytes of a passphrase.
const BYTES_MAX: u64 = 1024;

type Passphrase = Zeroizing<String>;

/// What is said where there is nobody to ask.
const HOW: &str = "\
there is no terminal to ask for the passphrase: give --passphrase-file FILE, or set \
POSTMESH_PASSPHRASE_FILE to the path of a file that only you can read (a credential of systemd's \
LoadCredential= is one)";

/// Passphrases, as they are needed.
#[derive(Debug)]
pub(crate) struct Passphrases {
    file: Option<PathBuf>,
    /// What opened a key before: often it opens the next.
    known: Vec<Passphrase>,
}

impl Passphrases {
    pub(crate) fn new(args: &PassphraseArgs) -> Self {
        Self { file: args.passphrase_file.clone(), known: Vec::new() }
    }

    /// Opens a key, which people call `name`.
    ///
    /// # Errors
    /// The passphrase is wrong, or there is none.
    pub(crate) fn open(&mut self, name: &str, key: &SealedKey) -> Result<Identity> {
        for known in &self.known {
            match key.open(known) {
                Err(NotOpened::Passphrase) => {}
                other => return other.with_context(|| cannot_open(name)),
            }
        }
        let prompt = format!("Passphrase of identity {name}: ");
        let passphrase = match &self.file {
            Some(_) => self.of_file(),
            None => of_terminal(&prompt),
        };
        let passphrase = passphrase.with_context(|| format!("identity {name} is encrypted"))?;
        let identity = key.open(&passphrase).with_context(|| cannot_open(name))?;
        self.known.push(passphrase);
        Ok(identity)
    }

    /// A passphrase for a key that is about to be encrypted.
    ///
    /// # Errors
    /// There is none, or what was typed twice was not the same.
    pub(crate) fn choose(&self, name: &str) -> Result<Passphrase> {
        if self.file.is_some() {
            return self.of_file();
        }
        let chosen = of_terminal(&format!("New passphrase of identity {name}: "))?;
        if of_terminal("The same again: ")? != chosen {
            return Err(WrongUsage("the two passphrases differ: nothing was changed".into()).into());
        }
        Ok(chosen)
    }

    fn of_file(&self) -> Result<Passphrase> {
        let path = self.file.as_deref().ok_or_else(|| WrongUsage(HOW.into()))?;
        let mut text = Zeroizing::new(String::new());
        let read = File::open(path)
            .and_then(|file| file.take(BYTES_MAX.saturating_add(1)).read_to_string(&mut text));
        read.with_context(|| format!("cannot read the passphrase in {}", path.display()))?;
        keys::warn_if_open(path);
        // The end of the line is the editor's, not the passphrase's.
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        checked(Zeroizing::new(line.to_owned()))
            .with_context(|| format!("{} holds no passphrase", path.display()))
    }
}

fn cannot_open(name: &str) -> String {
    format!("cannot open the key of identity {name}")
}

fn of_terminal(prompt: &str) -> Result<Passphrase> {
    if !std::io::stdin().is_terminal() {
        return Err(WrongUsage(HOW.into()).into());
    }
    let typed = rpassword::prompt_password(prompt)
        .map_err(|error| anyhow!("cannot read the terminal: {error}"))?;
    checked(Zeroizing::new(typed))
}

fn checked(passphrase: Passphrase) -> Result<Passphrase> {
    if passphrase.is_empty() {
        return Err(WrongUsage("an empty passphrase protects nothing".into()).into());
    }
    if u64::try_from(passphrase.len()).is_ok_and(|bytes| bytes <= BYTES_MAX) {
        Ok(passphrase)
    } else {
        Err(WrongUsage(format!("a passphrase has at most {BYTES_MAX} bytes")).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn in_file(text: &[u8]) -> Result<Passphrase> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("passphrase");
        fs::write(&path, text).unwrap();
        Passphrases::new(&PassphraseArgs { passphrase_file: Some(path) }).choose("x")
    }

    #[test]
    fn a_file_holds_one_passphrase_and_an_end_of_line() {
        for text in ["a b ", "a b \n", "a b \r\n"] {
            assert_eq!(*in_file(text.as_bytes()).unwrap(), "a b ");
        }
        assert_eq!(*in_file(b"a\n\n").unwrap(), "a\n");
        for text in [&b""[..], b"\n", &[b'a'; 1025]] {
            assert!(in_file(text).is_err());
        }
        assert!(in_file(&[0xff]).is_err());
    }
}
