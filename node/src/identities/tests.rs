//! Keys in a home on a real disk.

use super::*;
use crate::args::PassphraseArgs;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

fn home(root: &TempDir, home: &str) -> HomeArgs {
    HomeArgs { home: Some(root.path().join(home)) }
}

fn name(name: &str) -> NameArgs {
    NameArgs { name: name.to_owned() }
}

/// A file with a passphrase.
fn passphrase(root: &TempDir, text: &str) -> PassphraseArgs {
    let path = root.path().join(format!("passphrase of {}", text.len()));
    fs::write(&path, text).unwrap();
    PassphraseArgs { passphrase_file: Some(path) }
}

fn no_passphrase() -> PassphraseArgs {
    PassphraseArgs { passphrase_file: None }
}

fn create_at(home: &HomeArgs, called: &str, secret: Option<PassphraseArgs>) -> Result {
    create(&CreateArgs {
        encrypt: secret.is_some(),
        name: name(called),
        passphrase: secret.unwrap_or(no_passphrase()),
        home: home.clone(),
    })
}

fn file_args(file: PathBuf, called: &str, home: &HomeArgs) -> KeyFileArgs {
    KeyFileArgs { file, name: name(called), home: home.clone() }
}

fn import_by(key: KeyFileArgs, passphrase: PassphraseArgs) -> Result {
    import(&ImportArgs { key, passphrase })
}

fn secret_args(called: &str, home: &HomeArgs, secret: PassphraseArgs) -> SecretArgs {
    SecretArgs { name: name(called), passphrase: secret, home: home.clone() }
}

fn path(home: &HomeArgs, name: &str) -> PathBuf {
    home::key(home.home.as_ref().unwrap(), name).unwrap()
}

fn node_id(home: &HomeArgs, name: &str) -> NodeId {
    keys::read(&path(home, name)).unwrap().node_id()
}

#[test]
fn a_key_is_made_once_exported_and_imported() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (home(&root, "a/b"), home(&root, "c"));
    create_at(&first, DEFAULT, None).unwrap();
    let key = path(&first, DEFAULT);
    let bytes = fs::read(&key).unwrap();
    assert!(create_at(&first, DEFAULT, None).unwrap_err().is::<WrongUsage>());
    assert_eq!(fs::read(&key).unwrap(), bytes);
    let backup = root.path().join("backup");
    let args = |home: &HomeArgs| file_args(backup.clone(), DEFAULT, home);
    export(&args(&first)).unwrap();
    import_by(args(&second), no_passphrase()).unwrap();
    assert_eq!(node_id(&first, DEFAULT), node_id(&second, DEFAULT));
    assert!(import_by(args(&first), no_passphrase()).unwrap_err().is::<WrongUsage>());
    // No temporary file is left.
    let mut left: Vec<_> = fs::read_dir(root.path().join("a/b"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["identities", "identity.key"]);
}

#[test]
fn a_home_has_many_identities_and_each_of_them_once() {
    let root = tempfile::tempdir().unwrap();
    let home = home(&root, "a");
    for name in ["two", DEFAULT, "three"] {
        create_at(&home, name, None).unwrap();
    }
    let directory = home.home.as_deref().unwrap();
    let found = all(directory).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["default", "three", "two"]);
    assert!(create_at(&home, "two", None).unwrap_err().is::<WrongUsage>());
    let again = import_by(file_args(path(&home, "two"), "four", &home), no_passphrase());
    assert!(again.unwrap_err().to_string().contains("already, as two"));
    // By hand it can be done; then it is told.
    fs::copy(path(&home, "two"), path(&home, "four")).unwrap();
    assert!(all(directory).unwrap_err().to_string().contains("four and two"));
    assert!(show(&name("five"), &home).unwrap_err().to_string().contains("default, four, three"));
}

#[test]
fn a_key_is_encrypted_and_decrypted_and_stays_the_same() {
    let root = tempfile::tempdir().unwrap();
    let home = home(&root, "a");
    create_at(&home, "x", None).unwrap();
    let plain = fs::read(path(&home, "x")).unwrap();
    let (right, wrong) = (|| passphrase(&root, "right"), || passphrase(&root, "wrongs"));
    assert!(decrypt(&secret_args("x", &home, right())).unwrap_err().is::<WrongUsage>());
    encrypt(&secret_args("x", &home, right())).unwrap();
    let sealed = fs::read(path(&home, "x")).unwrap();
    assert!(sealed.starts_with(b"{") && keys::read(&path(&home, "x")).unwrap().is_encrypted());
    assert!(encrypt(&secret_args("x", &home, right())).unwrap_err().is::<WrongUsage>());
    let error = decrypt(&secret_args("x", &home, wrong())).unwrap_err();
    assert!(format!("{error:#}").contains("the passphrase is wrong"), "{error:#}");
    assert_eq!(fs::read(path(&home, "x")).unwrap(), sealed);
    decrypt(&secret_args("x", &home, right())).unwrap();
    assert_eq!(fs::read(path(&home, "x")).unwrap(), plain);
}

#[test]
fn a_node_opens_what_it_serves_and_says_how_where_it_cannot() {
    let root = tempfile::tempdir().unwrap();
    let home = home(&root, "a");
    let right = || passphrase(&root, "right");
    create_at(&home, "x", Some(right())).unwrap();
    create_at(&home, "y", Some(right())).unwrap();
    create_at(&home, "z", None).unwrap();
    let directory = home.home.as_deref().unwrap();
    let opened_by = |args| opened(directory, &mut Passphrases::new(&args));
    let names: Vec<_> = opened_by(right()).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["x", "y", "z"]);
    let error = opened_by(passphrase(&root, "wrongs")).unwrap_err();
    assert!(format!("{error:#}").contains("identity x"), "{error:#}");
    let error = opened_by(PassphraseArgs { passphrase_file: Some(root.path().join("none")) });
    assert!(format!("{:#}", error.unwrap_err()).contains("cannot read the passphrase"));
}

#[test]
fn an_encrypted_copy_is_brought_by_who_can_open_it() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (home(&root, "a"), home(&root, "b"));
    let (right, wrong) = (|| passphrase(&root, "right"), || passphrase(&root, "wrongs"));
    create_at(&first, DEFAULT, Some(right())).unwrap();
    let backup = root.path().join("backup");
    export(&file_args(backup.clone(), DEFAULT, &first)).unwrap();
    assert_eq!(fs::read(&backup).unwrap(), fs::read(path(&first, DEFAULT)).unwrap());
    import_by(file_args(backup.clone(), "y", &second), wrong()).unwrap_err();
    assert!(!path(&second, "y").exists());
    import_by(file_args(backup, "y", &second), right()).unwrap();
    assert_eq!(node_id(&first, DEFAULT), node_id(&second, "y"));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_key() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let home = home(&root, "a");
    create_at(&home, DEFAULT, None).unwrap();
    let mode = |_| fs::metadata(path(&home, DEFAULT)).unwrap().mode() & 0o777;
    assert_eq!(mode(()), 0o600);
    encrypt(&secret_args(DEFAULT, &home, passphrase(&root, "right"))).unwrap();
    assert_eq!(mode(()), 0o600);
}

#[test]
fn where_there_is_no_identity_it_is_said_how_to_get_one() {
    let root = tempfile::tempdir().unwrap();
    assert!(all(root.path()).unwrap_err().to_string().contains("identity create"));
    let error = show(&name(DEFAULT), &home(&root, "")).unwrap_err();
    assert!(error.to_string().contains("identity create"));
}
