//! Shares, made and joined in any way, beside one initialization of everything.

use super::*;
use crate::crew::Member;
use crate::init::{Init, Summary};
use plot::simulated::Simulated;
use plot::{Arrangement, FileNumbers, Metadata, Place, PlotError};
use post::label::{LabelFault, Labeler};
use post::{AtxId, Commitment, LabelRange, NodeId, ScryptN, vrf as nonce};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILES: u64 = 10;

fn n() -> ScryptN {
    ScryptN::new(2).unwrap()
}

/// 300 labels: nine files of 32, and one of 12.
fn metadata(identity: u32) -> Metadata {
    let mut id = [7; 32];
    id[..4].copy_from_slice(&identity.to_le_bytes());
    Metadata::new(NodeId(id), AtxId([2; 32]), 100, 3, 32 * 16)
}

/// One device that is stopped after some fills.
fn crew(commitment: Commitment, fills_left: usize) -> Crew {
    let labels = cpu::Labels::new(commitment, n(), NonZeroUsize::MIN);
    let labeler = Box::new(Stopping { labels, fills_left });
    let members = vec![Member { name: "cpu".to_owned(), labeler }];
    Crew::new(commitment, n(), members, Box::new(|bound| bound / 2))
}

/// A labeler that is stopped after some fills.
struct Stopping {
    labels: cpu::Labels,
    fills_left: usize,
}

impl Labeler for Stopping {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        self.fills_left = self.fills_left.checked_sub(1).ok_or(LabelFault::Stopped)?;
        self.labels.fill(range, out, stop)
    }

    fn kernel(&self) -> &str {
        self.labels.kernel()
    }
}

/// As a run of `init` does: files of a data set in a directory, or what is wanted there already.
fn init(
    disk: &Simulated,
    path: &Path,
    wanted: &Metadata,
    files: Option<&FileNumbers>,
    fills: usize,
) -> Result<Summary, MakeError> {
    let disk: Arc<dyn plot::Disk> = Arc::new(disk.clone());
    let found = DataSet::found_on(disk.clone(), &[path])?;
    let places = [Place { path: path.into(), limit: None }];
    let (known, wanted) = (found.as_ref(), wanted.clone());
    let arranged = match files {
        Some(files) => Arrangement::of_share_on(disk, known, &places, wanted, files.clone()),
        None => Arrangement::new_on(disk, known, &places, wanted),
    };
    let mut set = arranged?.carry_out(found, n())?;
    set.whole_or_share()?;
    set.reserve()?;
    let mut crew = crew(set.metadata().commitment(), fills);
    Init { set: &mut set, crew: &mut crew, stop: &|| false, report: false.into() }.run()
}

/// As a run of `merge` does.
fn merge(disk: &Simulated, paths: &[PathBuf]) -> Result<Candidate, MakeError> {
    let merge = Merge::new_on(Arc::new(disk.clone()), paths)?;
    assert_eq!(merge.lacking()?.len(), 0);
    if let Some(nonce) = merge.set().metadata().vrf_nonce().filter(|_| merge.is_done()) {
        return Ok(nonce);
    }
    let mut crew = crew(merge.set().metadata().commitment(), usize::MAX);
    Ok(Joining { merge, crew: &mut crew, stop: &|| false, json: false }.run()?.1)
}

/// Names and contents of the labels and the metadata in a directory.
fn contents(disk: &Simulated, path: &Path) -> BTreeMap<String, Vec<u8>> {
    let inside = disk.paths().into_iter().filter(|file| file.parent() == Some(path));
    let named = inside.map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), file));
    let kept = named.filter(|(name, _)| name.starts_with("postdata_"));
    kept.map(|(name, file)| (name, disk.content(&file).unwrap())).collect()
}

/// What one initialization of everything leaves, and the VRF nonce.
fn undivided(wanted: &Metadata) -> (BTreeMap<String, Vec<u8>>, LabelIndex) {
    let (disk, path) = (Simulated::default(), Path::new("/whole"));
    let summary = init(&disk, path, wanted, None, usize::MAX).unwrap();
    (contents(&disk, path), summary.vrf_nonce)
}

/// The labels of all directories are those of one, and each has the metadata of that one.
fn assert_joined(disk: &Simulated, paths: &[PathBuf], expected: &BTreeMap<String, Vec<u8>>) {
    let mut joined = BTreeMap::new();
    for path in paths {
        for (name, bytes) in contents(disk, path) {
            let before = joined.insert(name.clone(), bytes.clone());
            assert!(before.is_none_or(|before| before == bytes), "{name} in {}", path.display());
        }
    }
    assert!(joined == *expected, "{:?}", joined.keys());
    let set = DataSet::open_on(Arc::new(disk.clone()), paths).unwrap();
    assert!(!set.is_share());
    for (path, sidecar) in set.sidecars() {
        let sidecar = sidecar.unwrap();
        assert_eq!((&sidecar.share, sidecar.siblings.len()), (&None, paths.len() - 1));
        assert!(!sidecar.siblings.iter().any(|sibling| sibling == path));
    }
}

/// The identity of a data set none of whose labels is small enough for a VRF nonce.
fn unlucky() -> Metadata {
    let suits = |commitment: &Commitment, index| {
        nonce::suits(&post::label(commitment, LabelIndex(index), n()), 300)
    };
    let unlucky = |identity: &u32| {
        let commitment = metadata(*identity).commitment();
        !(0..300).any(|index| suits(&commitment, index))
    };
    metadata((0..100_000).find(unlucky).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However files are shared out, whoever begins, and wherever each is interrupted.
    #[test]
    fn any_shares_in_any_order_make_what_one_init_makes(
        identity in 0_u32..4,
        owners in prop::collection::vec(0_usize..4, FILES as usize),
        runs in prop::collection::vec((any::<Index>(), 1_usize..4), 0..12),
        order in Just([0, 1, 2, 3]).prop_shuffle(),
    ) {
        let (disk, wanted) = (Simulated::default(), metadata(identity));
        let files = |owner: usize| -> FileNumbers {
            (0..FILES).filter(|file| owners[*file as usize] == owner).collect()
        };
        let path = |owner: usize| PathBuf::from(format!("/share-{owner}"));
        let shares: Vec<usize> =
            order.into_iter().filter(|owner| !files(*owner).is_empty()).collect();
        for (index, fills) in runs {
            // It may be stopped before the end, and may be run once it is done.
            let owner = *index.get(&shares);
            match init(&disk, &path(owner), &wanted, Some(&files(owner)), fills) {
                Ok(Summary { made, found, .. }) => {
                    prop_assert!(made + found < 300 || shares.len() == 1);
                }
                Err(MakeError::Label(LabelFault::Stopped)) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
        for owner in &shares {
            // What is begun knows what it is to hold.
            let begun = disk.content(&path(*owner).join("postdata_metadata.json")).is_some();
            let asked = files(*owner);
            let asked = (!begun).then_some(&asked);
            init(&disk, &path(*owner), &wanted, asked, usize::MAX).unwrap();
        }
        let paths: Vec<PathBuf> = shares.iter().map(|owner| path(*owner)).collect();
        let nonce = merge(&disk, &paths).unwrap();
        let (expected, expected_nonce) = undivided(&wanted);
        prop_assert_eq!(nonce.index, expected_nonce);
        assert_joined(&disk, &paths, &expected);
    }
}

/// Three shares of a data set, complete.
fn shares(disk: &Simulated, wanted: &Metadata) -> Vec<PathBuf> {
    let files = [0..3, 3..7, 7..FILES].map(FileNumbers::from);
    let shares = files.iter().zip(["/a", "/b", "/c"]).map(|(files, path)| {
        let path = PathBuf::from(path);
        init(disk, &path, wanted, Some(files), usize::MAX).unwrap();
        path
    });
    shares.collect()
}

/// The power is cut at any operation of a merge, of a lucky data set and of one whose nonce lies
/// past its labels: the same merge goes on to the same.
#[test]
fn a_power_cut_at_any_operation_of_a_merge_is_carried_on_from() {
    for wanted in [metadata(0), unlucky()] {
        let (expected, expected_nonce) = undivided(&wanted);
        let begin = || {
            let disk = Simulated::default();
            let paths = shares(&disk, &wanted);
            (disk, paths)
        };
        let (whole, paths) = begin();
        // Each share has its own metadata until then.
        assert_ne!(
            contents(&whole, &paths[0])["postdata_metadata.json"],
            contents(&whole, &paths[1])["postdata_metadata.json"]
        );
        let before = whole.operations();
        merge(&whole, &paths).unwrap();
        let operations = whole.operations() - before;
        assert_joined(&whole, &paths, &expected);
        for cut in 0..operations {
            let (disk, paths) = begin();
            disk.cut_after(cut);
            assert!(merge(&disk, &paths).is_err(), "cut {cut}");
            for seed in 0..2 {
                let left = disk.reboot(cut << 8 | seed);
                let nonce = merge(&left, &paths).unwrap();
                assert_eq!(nonce.index, expected_nonce, "cut {cut}, seed {seed}");
                assert_joined(&left, &paths, &expected);
            }
        }
    }
}

#[test]
fn a_merge_again_writes_nothing() {
    let disk = Simulated::default();
    let mut paths = shares(&disk, &metadata(0));
    let first = merge(&disk, &paths).unwrap();
    paths.reverse();
    disk.fail_writes(&paths[0].join("postmesh.json"), 0..1);
    let before: Vec<_> = disk.paths().iter().map(|path| disk.content(path)).collect();
    assert!(Merge::new_on(Arc::new(disk.clone()), &paths).unwrap().is_done());
    assert_eq!(merge(&disk, &paths).unwrap(), first);
    assert_eq!(disk.paths().iter().map(|path| disk.content(path)).collect::<Vec<_>>(), before);
}

/// A nonce that is not written down, is written down wrongly, or was found past the data, does not
/// mislead: the labels tell.
#[test]
fn what_a_share_says_of_its_smallest_label_is_not_believed() {
    let wanted = metadata(0);
    let (expected, expected_nonce) = undivided(&wanted);
    let changes: [fn(&mut Metadata); 3] = [
        |own| (own.nonce, own.nonce_value) = (None, None),
        |own| own.nonce_value = Some(post::FullLabel([0; 32])),
        |own| own.nonce = Some(LabelIndex(300)),
    ];
    for change in changes {
        let disk = Simulated::default();
        let paths = shares(&disk, &wanted);
        for path in &paths {
            let found = DataSet::found_on(Arc::new(disk.clone()), &[path]).unwrap();
            found.unwrap().update(change).unwrap();
        }
        assert_eq!(merge(&disk, &paths).unwrap().index, expected_nonce);
        assert_joined(&disk, &paths, &expected);
    }
}

#[test]
fn labels_of_another_make_are_refused_and_nothing_is_written() {
    let disk = Simulated::default();
    let paths = shares(&disk, &metadata(0));
    use plot::disk::{Access, Disk};
    let labels = disk.open(&paths[1].join("postdata_5.bin"), Access::Write).unwrap();
    labels.write_all_at(&[9; 32 * 16], 0).unwrap();
    let before: Vec<_> = disk.paths().iter().map(|path| disk.content(path)).collect();
    let refused = merge(&disk, &paths);
    assert!(matches!(refused, Err(MakeError::Foreign { index: LabelIndex(160), .. })));
    assert_eq!(disk.paths().iter().map(|path| disk.content(path)).collect::<Vec<_>>(), before);
}

#[test]
fn another_share_than_the_one_there_is_refused() {
    let disk = Simulated::default();
    let (wanted, path) = (metadata(0), Path::new("/a"));
    let files = FileNumbers::from(0..3);
    init(&disk, path, &wanted, Some(&files), 1).unwrap_err();
    for other in [FileNumbers::from(0..4), FileNumbers::from(0..FILES)] {
        let refused = init(&disk, path, &wanted, Some(&other), 9);
        assert!(matches!(refused, Err(MakeError::Plot(PlotError::OtherShare { .. }))));
    }
    init(&disk, path, &wanted, None, 9).unwrap();
    let names: Vec<String> = contents(&disk, path).into_keys().collect();
    let made = ["postdata_0.bin", "postdata_1.bin", "postdata_2.bin", "postdata_metadata.json"];
    assert_eq!(names, made);
    // All of a set is no share of it.
    let refused = init(&disk, Path::new("/b"), &wanted, None, 1);
    assert!(matches!(refused, Err(MakeError::Label(LabelFault::Stopped))));
    let refused = init(&disk, Path::new("/b"), &wanted, Some(&files), 9);
    assert!(matches!(refused, Err(MakeError::Plot(PlotError::OtherShare { .. }))));
    let all = FileNumbers::from(0..FILES);
    init(&disk, Path::new("/b"), &wanted, Some(&all), usize::MAX).unwrap();
    assert_eq!(contents(&disk, Path::new("/b")), undivided(&wanted).0);
}
