//! `identity …`: the keys that own space. Made, shown, saved, brought, encrypted, decrypted.

use crate::args::{CreateArgs, HomeArgs, ImportArgs, KeyFileArgs, ListArgs, NameArgs, SecretArgs};
use crate::home::{self, DEFAULT};
use crate::keys::{self, KeyFile};
use crate::outcome::{ExitCode, Result, WrongUsage, answer};
use crate::passphrase::Passphrases;
use anyhow::{Context, anyhow};
use chain::{Identity, SealedKey};
use post::NodeId;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use zeroize::Zeroizing;

/// What everyone who gets a key is told.
const BACK_UP: &str = "\
Keep a copy of this key somewhere safe (identity export FILE): whoever has it owns the identity, \
and without it the space you fill is worth nothing. Never run the same key on two machines.";
/// And who gets an encrypted one.
const REMEMBER: &str = "\
Without the passphrase the key cannot be opened, by nobody: keep that safe too.";

/// Whose key each name of a home is. There is one at least.
///
/// # Errors
/// There is none, one cannot be read, or two files hold the same key.
pub(crate) fn all(home: &Path) -> Result<BTreeMap<String, KeyFile>> {
    let mut found: BTreeMap<String, KeyFile> = BTreeMap::new();
    for name in home::names(home)? {
        let key = keys::read(&home::key(home, &name)?)?;
        if let Some((other, _)) = found.iter().find(|(_, it)| it.node_id() == key.node_id()) {
            return Err(WrongUsage(format!(
                "the identities {other} and {name} are the same key: move one of the files away"
            ))
            .into());
        }
        found.insert(name, key);
    }
    if found.is_empty() { Err(none(home)) } else { Ok(found) }
}

fn none(home: &Path) -> anyhow::Error {
    anyhow!(
        "there is no identity in {}: make one with `postmesh-node identity create`, or bring yours \
         with `identity import FILE`",
        home.display()
    )
}

/// The identities that a node serves, by name. Encrypted ones are opened, so that nobody fills
/// space for a key that nobody can open; nothing is signed yet, so no secret is kept.
///
/// # Errors
/// As [`all`]; one cannot be opened.
pub(crate) fn opened(home: &Path, passphrases: &mut Passphrases) -> Result<Vec<(String, NodeId)>> {
    let mut opened = Vec::new();
    for (name, key) in all(home)? {
        if let KeyFile::Sealed(key) = &key {
            passphrases.open(&name, key)?;
        }
        opened.push((name, key.node_id()));
    }
    Ok(opened)
}

/// The key with this name.
fn of_name(home: &Path, name: &str) -> Result<KeyFile> {
    match keys::read(&home::key(home, name)?) {
        Err(error) if is_not_found(&error) => {
            let names = home::names(home)?;
            if names.is_empty() {
                return Err(none(home));
            }
            Err(anyhow!(
                "there is no identity {name} in {}: there are {}",
                home.display(),
                names.join(", ")
            ))
        }
        other => other,
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// `identity create`
pub(crate) fn create(args: &CreateArgs) -> Result {
    let home = home::home(&args.home)?;
    let seed = Zeroizing::new(random::<32>()?);
    let identity = Identity::from_seed(&seed);
    let key = if args.encrypt {
        // Before anybody is asked anything.
        check_free(&home, &args.name.name)?;
        let passphrase = Passphrases::new(&args.passphrase).choose(&args.name.name)?;
        KeyFile::Sealed(seal(&identity, &passphrase)?)
    } else {
        KeyFile::Plain(identity)
    };
    add(&home, &args.name.name, &key)
}

/// `identity show`
pub(crate) fn show(args: &NameArgs, home: &HomeArgs) -> Result {
    answer!("{}", of_name(&home::home(home)?, &args.name)?.node_id())?;
    Ok(ExitCode::Done)
}

/// `identity list`
pub(crate) fn list(args: &ListArgs) -> Result {
    let home = home::home(&args.home)?;
    for name in home::names(&home)? {
        let key = keys::read(&home::key(&home, &name)?)?;
        let (node_id, encrypted) = (key.node_id(), key.is_encrypted());
        if args.json {
            let answer = json!({ "name": name, "node_id": node_id, "encrypted": encrypted });
            answer!("{answer}")?;
        } else {
            let state = if encrypted { "encrypted" } else { "not encrypted" };
            answer!("{name}  {node_id}  {state}")?;
        }
    }
    Ok(ExitCode::Done)
}

/// `identity export`
pub(crate) fn export(args: &KeyFileArgs) -> Result {
    let key = of_name(&home::home(&args.home)?, &args.name.name)?;
    keys::write_new(&args.file, &key)?;
    let (node_id, file) = (key.node_id(), args.file.display());
    if key.is_encrypted() {
        eprintln!(
            "copied the encrypted key of {node_id} to {file}: the same passphrase opens the copy"
        );
    } else {
        eprintln!("copied the key of {node_id} to {file}, not encrypted; keep it secret");
    }
    Ok(ExitCode::Done)
}

/// `identity import`
pub(crate) fn import(ImportArgs { key: args, passphrase }: &ImportArgs) -> Result {
    let (home, name) = (home::home(&args.home)?, &args.name.name);
    let key = keys::read(&args.file)?;
    check_free(&home, name)?;
    if let KeyFile::Sealed(sealed) = &key {
        // Nobody should find out later that it cannot be opened.
        Passphrases::new(passphrase).open(name, sealed)?;
    }
    add(&home, name, &key)
}

/// `identity encrypt`
pub(crate) fn encrypt(args: &SecretArgs) -> Result {
    let (home, name) = (home::home(&args.home)?, &args.name.name);
    of_name(&home, name)?;
    let _lock = home::lock(&home)?;
    let KeyFile::Plain(identity) = of_name(&home, name)? else {
        return Err(WrongUsage(format!(
            "the key of identity {name} is encrypted already; for another passphrase, `identity \
             decrypt` first"
        ))
        .into());
    };
    let passphrase = Passphrases::new(&args.passphrase).choose(name)?;
    let sealed = seal(&identity, &passphrase)?;
    keys::replace(&home::key(&home, name)?, &KeyFile::Sealed(sealed))?;
    answer!("{}", identity.node_id())?;
    eprintln!(
        "The key of identity {name} is encrypted. {REMEMBER} Copies that you made before are not \
         encrypted, and a disk may keep what it held for a while."
    );
    Ok(ExitCode::Done)
}

/// `identity decrypt`
pub(crate) fn decrypt(args: &SecretArgs) -> Result {
    let (home, name) = (home::home(&args.home)?, &args.name.name);
    of_name(&home, name)?;
    let _lock = home::lock(&home)?;
    let KeyFile::Sealed(sealed) = of_name(&home, name)? else {
        return Err(WrongUsage(format!("the key of identity {name} is not encrypted")).into());
    };
    let identity = Passphrases::new(&args.passphrase).open(name, &sealed)?;
    keys::replace(&home::key(&home, name)?, &KeyFile::Plain(identity))?;
    answer!("{}", sealed.node_id())?;
    eprintln!("The key of identity {name} is not encrypted any more.");
    Ok(ExitCode::Done)
}

/// Seals a key, and makes sure that it opens: soon there may be no other form of it.
fn seal(identity: &Identity, passphrase: &str) -> Result<SealedKey> {
    let sealed = SealedKey::seal(identity, passphrase, random()?, random()?)?;
    let again = SealedKey::from_text(&sealed.to_text())?.open(passphrase)?;
    if again.to_text() == identity.to_text() {
        Ok(sealed)
    } else {
        Err(anyhow!("the encrypted key did not decrypt to the same: is this memory sound?"))
    }
}

/// Puts a key where there is none yet.
fn add(home: &Path, name: &str, key: &KeyFile) -> Result {
    let path = home::key(home, name)?;
    let _lock = home::lock(home)?;
    check_free(home, name)?;
    for other in home::names(home)? {
        // A key that cannot be read is no reason to have no other.
        let theirs = keys::read(&home::key(home, &other)?).ok().map(|key| key.node_id());
        if theirs == Some(key.node_id()) {
            return Err(WrongUsage(format!("this identity is here already, as {other}")).into());
        }
    }
    keys::write_new(&path, key)?;
    answer!("{}", key.node_id())?;
    eprintln!("The key of this identity is in {}. {BACK_UP}", path.display());
    if key.is_encrypted() {
        eprintln!("{REMEMBER}");
    }
    Ok(ExitCode::Done)
}

fn check_free(home: &Path, name: &str) -> Result<()> {
    let path = home::key(home, name)?;
    if !path.try_exists().with_context(|| format!("cannot look at {}", path.display()))? {
        return Ok(());
    }
    let more = if name == DEFAULT { " For one more identity, give --name NAME." } else { "" };
    Err(WrongUsage(format!(
        "{} exists already: a key is never overwritten. Move it away first, if you are sure.{more}",
        path.display()
    ))
    .into())
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system has no randomness: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
