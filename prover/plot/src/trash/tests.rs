//! Entries as they are written and read; what moves in and out is tested where it moves.

use super::*;
use crate::simulated::Simulated;

fn size(units: u32) -> Size {
    let nonce_value = Some(FullLabel([units as u8; 32]));
    Size { units, nonce: Some(LabelIndex(7)), nonce_value, last_position: None }
}

fn entries() -> Vec<Entry> {
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 5, 6, 64);
    let disk = Simulated::default();
    let shrink = What::Shrink { before: size(6), after: size(3), head: Some((3, 48)) };
    for (number, what) in [(1, shrink), (2, What::Move { to: "/b".into() })] {
        let files = vec![("postdata_3.bin".to_owned(), 64)];
        let place = (Path::new("/a"), number);
        Entry::begin(&disk, place, 1_000, what, (&metadata, files)).unwrap();
    }
    Entry::all_on(&disk, Path::new("/a")).unwrap()
}

#[test]
fn entries_round_trip() {
    let entries = entries();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
    for entry in entries {
        let bytes = serde_json::to_vec(&entry).unwrap();
        let again = Entry::decode(&bytes).unwrap();
        let (directory, number) = (entry.directory.clone(), entry.number);
        assert_eq!(Entry { directory, number, ..again }, entry);
    }
}

#[test]
fn entries_of_others_are_listed_and_purged() {
    let disk = Simulated::default();
    for (number, text) in [
        (4, r#"{"version": 1, "what": "repair", "when_unix": 5, "ranges": [[1, 2]]}"#),
        (5, r#"{"version": 1, "what": "polish", "cloth": "red"}"#),
    ] {
        let folder = folder(Path::new("/a"), number);
        files::replace(&disk, &folder.join(FILE_NAME), text.as_bytes()).unwrap();
        files::replace(&disk, &folder.join("labels"), &[7; 32]).unwrap();
    }
    let entries = Entry::all_on(&disk, Path::new("/a")).unwrap();
    assert_eq!(entries[0].what, What::Repair);
    assert_eq!(entries[1].what, What::Other);
    assert_eq!(next_number(&disk, Path::new("/a")).unwrap(), 6);
    for entry in entries {
        assert_eq!(entry.contents_on(&disk).unwrap().len(), 2);
        let undone =
            crate::Undo::find_on(std::sync::Arc::new(disk.clone()), &["/a"], Some(entry.number));
        match entry.what {
            What::Repair => drop(undone.unwrap()),
            _ => assert!(matches!(undone, Err(PlotError::NotUndone { .. }))),
        }
        entry.purge_on(&disk).unwrap();
    }
    assert_eq!(disk.paths(), [""; 0].map(PathBuf::from));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let mut value = serde_json::to_value(&entries()[0]).unwrap();
    for bad in ["../postdata_3.bin", "/etc/passwd", "identity.key", "x/postdata_3.bin", "", "."] {
        value["files"][0][0] = bad.into();
        let decoded = Entry::decode(value.to_string().as_bytes());
        let field = Err(BadMetadata::Field { field: "files", expected: "names of data files" });
        assert_eq!(decoded, field, "{bad}");
    }
    value["version"] = 2.into();
    let newer = Entry::decode(value.to_string().as_bytes());
    assert_eq!(newer, Err(BadMetadata::Version { found: 2 }));
    for bad in ["", "7", "{}", r#"{"version": 1}"#] {
        assert!(Entry::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}
