//! The devices that work or worked in this run of the service, and what they did.

use super::status::DeviceStatus;
use crate::crew::{Crew, Share};
use crate::devices::Chosen;
use crate::prove::Watch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All of them, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Roll(Mutex<BTreeMap<String, DeviceStatus>>);

impl Roll {
    fn devices(&self) -> MutexGuard<'_, BTreeMap<String, DeviceStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These may work from now on.
    pub(super) fn enrol(&self, chosen: &[Chosen]) {
        for device in chosen {
            self.enter(device.name(), device.what());
        }
    }

    fn enter(&self, name: &str, what: String) {
        let device = || DeviceStatus { name: name.to_owned(), what, labels_made: 0, why_not: None };
        self.devices().entry(name.to_owned()).or_insert_with(device);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut DeviceStatus)) {
        if let Some(device) = self.devices().get_mut(name) {
            change(device);
        }
    }

    /// It is tried (again), or why it is not used any more.
    fn use_of(&self, name: &str, why_not: Option<&str>) {
        self.change(name, |device| device.why_not = why_not.map(str::to_owned));
    }

    /// Looks on while devices scan.
    pub(super) fn watch(self: &Arc<Self>) -> Arc<Watch> {
        let roll = Arc::clone(self);
        Arc::new(move |name, why_not| roll.use_of(name, why_not))
    }

    pub(super) fn status(&self) -> Vec<DeviceStatus> {
        self.devices().values().cloned().collect()
    }
}

/// What a crew adds to the roll while it works.
pub(super) struct Entry {
    roll: Arc<Roll>,
    /// Labels that are counted already.
    counted: Mutex<BTreeMap<String, u64>>,
}

impl Entry {
    /// A crew that begins: all of its members are tried.
    pub(super) fn begin(roll: &Arc<Roll>, crew: &Crew) -> Arc<Self> {
        crew.shares().iter().for_each(|share| roll.use_of(&share.name, None));
        Arc::new(Self { roll: Arc::clone(roll), counted: Mutex::default() })
    }

    /// What each made since the crew began.
    pub(super) fn made(&self, shares: &[Share]) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for Share { name, labels, .. } in shares {
            let counted = counted.entry(name.clone()).or_default();
            let new = labels.saturating_sub(*counted);
            self.roll.change(name, |device| {
                device.labels_made = device.labels_made.saturating_add(new);
            });
            *counted = (*counted).max(*labels);
        }
    }

    /// The crew ends.
    pub(super) fn end(&self, crew: &Crew) {
        self.made(&crew.shares());
        crew.left_out().for_each(|(name, why)| self.roll.use_of(name, Some(why)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crew::Member;
    use cpu::Labels;
    use post::label::{Candidate, LabelFault};
    use post::{Commitment, LabelRange, Labeler, ScryptN};
    use std::num::NonZeroUsize;
    use std::ops::ControlFlow;

    const COMMITMENT: Commitment = Commitment([7; 32]);

    /// One that breaks whatever it is asked for.
    struct Broken;

    impl Labeler for Broken {
        fn fill(
            &mut self,
            _: LabelRange,
            _: &mut [u8],
            _: &(dyn Fn() -> bool + Sync),
        ) -> Result<Option<Candidate>, LabelFault> {
            Err(LabelFault::Device("broken".to_owned()))
        }

        fn kernel(&self) -> &'static str {
            "none"
        }
    }

    fn shown(roll: &Roll) -> Vec<(String, u64, Option<String>)> {
        let of = |it: DeviceStatus| (it.name, it.labels_made, it.why_not);
        roll.status().into_iter().map(of).collect()
    }

    #[test]
    fn each_device_has_its_labels_and_a_broken_one_its_reason() {
        let n = ScryptN::new(2).unwrap();
        let roll = Arc::new(Roll::default());
        roll.enrol(&[Chosen::Cpu]);
        roll.enter("gpu:0", "a card".to_owned());
        assert!(roll.status()[0].what.contains(std::env::consts::ARCH), "{:?}", roll.status());
        let cpu = Labels::new(COMMITMENT, n, NonZeroUsize::MIN);
        let member = |name: &str, labeler: Box<dyn Labeler + Send>| Member {
            name: name.to_owned(),
            labeler,
        };
        let members = vec![member("cpu", Box::new(cpu)), member("gpu:0", Box::new(Broken))];
        let mut crew = Crew::new(COMMITMENT, n, members, Box::new(|_| 0));
        let entry = Entry::begin(&roll, &crew);
        let done = crew.run(std::slice::from_ref(&(0..1000)), &|| false, &mut |made| {
            entry.made(&made.shares);
            Ok(ControlFlow::Continue(()))
        });
        done.unwrap();
        entry.end(&crew);
        // Told twice, counted once.
        entry.made(&crew.shares());
        let [(_, made, None), (_, 0, why)] = &shown(&roll)[..] else {
            panic!("{:?}", shown(&roll))
        };
        assert_eq!(*made, 1000);
        // Whether it got its three chances before the other had done all is a matter of luck.
        assert!(why.as_ref().is_none_or(|why| why.contains("several times")), "{why:?}");
        // Scans are looked at too, and the next job tries it again.
        roll.watch()("gpu:0", Some("it overlooks a label"));
        assert_eq!(shown(&roll)[1].2.as_deref(), Some("it overlooks a label"));
        Entry::begin(&roll, &crew);
        assert_eq!(shown(&roll)[1].2, None);
        roll.watch()("nobody", Some("it is not on the roll"));
        assert_eq!(shown(&roll).len(), 2);
    }
}
