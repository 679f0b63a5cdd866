//! `devices`: what can compute here, what it is used for, and why something is not used.

use crate::args::DevicesArgs;
use crate::background;
use crate::devices::{self, CPU, Entry, Probe, Tunings};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::stop::Stop;
use crate::worker::{About, Launcher, Patience, WorkerFault};
use bytesize::ByteSize;
use gpu::{Backend, Kind, Mixing, Skip};
use post::ScryptN;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// What a device that is used is used for.
const USES: [&str; 2] = ["init", "prove"];

/// Lists the CPU, and every GPU once.
pub(crate) fn devices(args: &DevicesArgs) -> Result {
    let probes = if args.probe { probes(args)? } else { Probes::new() };
    let listed = crate::worker::list(&Launcher::own()?, Patience::default());
    let tunings = Tunings::of_user().map(|tunings| tunings.all()).unwrap_or_default();
    let known = Known { tunings, probes };
    if args.json {
        as_json(&listed, &known)?
    } else {
        for_people(&listed, &known)?
    }
    let done = listed.is_ok() && known.probes.values().all(std::result::Result::is_ok);
    Ok(if done { ExitCode::Done } else { ExitCode::CouldNot })
}

type Listed = std::result::Result<Vec<About>, WorkerFault>;

/// What was measured now, by name; or why it could not be.
type Probes = BTreeMap<String, std::result::Result<Probe, String>>;

/// Measures the devices that are meant.
fn probes(args: &DevicesArgs) -> Result<Probes> {
    let n = ScryptN::new(args.scrypt_n).map_err(|bad| Failure::usage(bad.to_string()))?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let mut probes = Probes::new();
    for chosen in devices::chosen(&args.work)? {
        let probe = devices::probe(&chosen, n, &args.work, &|| stop.is_set());
        probes.insert(chosen.name().to_owned(), probe.map_err(|why| why.to_string()));
    }
    Ok(probes)
}

/// What is known beside what drivers say.
struct Known {
    tunings: Vec<Entry>,
    probes: Probes,
}

impl Known {
    /// Tunings of a device with the driver that it has now.
    fn tunings<'a>(&'a self, about: &'a About) -> impl Iterator<Item = &'a Entry> {
        let is_its = |it: &&Entry| it.key.device == about.name && it.key.driver == about.driver;
        self.tunings.iter().filter(is_its)
    }

    /// What was measured of a device now.
    fn probe_as_json(&self, name: &str) -> Value {
        match self.probes.get(name) {
            None => Value::Null,
            Some(Err(why)) => json!({ "fault": why }),
            Some(Ok(probe)) => json!({
                "label_kernel": probe.label_kernel, "labels_per_second": probe.labels_per_second,
                "scan_kernel": probe.scan_kernel,
                "scan_bytes_per_second": probe.scan_bytes_per_second,
            }),
        }
    }

    fn probe_for_people(&self, name: &str) -> std::io::Result<()> {
        match self.probes.get(name) {
            None => Ok(()),
            Some(Err(why)) => answer!("  not measured   {why}"),
            Some(Ok(probe)) => answer!(
                "  measured       {:.0} labels/s ({}); scan {}/s ({}{})",
                probe.labels_per_second,
                probe.label_kernel,
                ByteSize::b(probe.scan_bytes_per_second as u64),
                probe.scan_kernel,
                if name == CPU { ", one thread" } else { "" }
            ),
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn as_json(listed: &Listed, known: &Known) -> std::io::Result<()> {
    let cpu = json!({
        "name": CPU, "stable": true, "kind": "cpu", "threads": threads(),
        "label_kernels": cpu::label_kernels(), "scan_kernels": cpu::scan_kernels(),
        "uses": USES, "skipped": null, "probe": known.probe_as_json(CPU),
    });
    let gpus = listed.iter().flatten().map(|about| gpu_as_json(about, known));
    let devices: Vec<_> = [cpu].into_iter().chain(gpus).collect();
    let fault = listed.as_ref().err().map(ToString::to_string);
    answer!("{}", json!({ "devices": devices, "fault": fault }))
}

fn gpu_as_json(about: &About, known: &Known) -> Value {
    let About { name, stable, model, kind, backend, also, driver, binding_bytes, skip } = about;
    let tuned = known.tunings(about).map(|entry| {
        json!({
            "scrypt_n": entry.key.n, "dispatch_ms": entry.key.target_ms,
            "lookup_gap": entry.tuning.gap.get(), "mixing": entry.tuning.mixing,
            "labels_in_flight": entry.tuning.labels, "labels_per_second": entry.labels_per_second,
        })
    });
    json!({
        "name": name, "stable": stable, "model": model, "kind": kind, "backend": backend,
        "also": also, "driver": driver, "binding_bytes": binding_bytes,
        "uses": if skip.is_none() { &USES[..] } else { &[] },
        "skipped": skip.as_ref().map(ToString::to_string),
        "dispatch_ms": devices::target(about, false).as_millis() as u64,
        "tuned": tuned.collect::<Vec<_>>(), "probe": known.probe_as_json(name),
    })
}

fn for_people(listed: &Listed, known: &Known) -> std::io::Result<()> {
    answer!("{CPU}")?;
    answer!("  used for       {}, by {} threads", USES.join(", "), threads())?;
    let (labels, scan) = (cpu::label_kernels().join(", "), cpu::scan_kernels().join(", "));
    answer!("  kernels        labels {labels}; scan {scan}; the first is used")?;
    known.probe_for_people(CPU)?;
    match listed {
        Ok(listed) if listed.is_empty() => answer!("{}.", devices::none_usable(listed)),
        Ok(listed) => listed.iter().try_for_each(|about| gpu_for_people(about, known)),
        Err(fault) => answer!(
            "The GPUs cannot be listed, so the CPU does all: {fault}. Update or remove the driver."
        ),
    }
}

fn gpu_for_people(about: &About, known: &Known) -> std::io::Result<()> {
    let About { name, model, kind, backend, also, driver, binding_bytes, .. } = about;
    let fleeting = if about.stable { "" } else { " (may be called otherwise after a change)" };
    answer!("{name}{fleeting}")?;
    answer!("  model          {model}")?;
    let also = match &also[..] {
        [] => String::new(),
        also => {
            let names: Vec<_> = also.iter().copied().map(backend_name).collect();
            format!(", also by {}", names.join(", "))
        }
    };
    answer!("  kind           {}, by {}{also}", kind_name(*kind), backend_name(*backend))?;
    answer!("  driver         {driver}")?;
    answer!("  buffers        up to {}", ByteSize::b(*binding_bytes))?;
    match &about.skip {
        None => answer!("  used for       {}", USES.join(", "))?,
        Some(why @ Skip::Software) => answer!("  skipped        {why}; --device {name} uses it")?,
        Some(why @ Skip::Lacks(_)) => answer!("  skipped        {why}")?,
    }
    if about.skip.is_none() {
        let looked_at = devices::is_looked_at(about);
        let why = if looked_at { ", for a display of it may be in use" } else { "" };
        let dispatch = devices::target(about, false).as_millis();
        answer!("  dispatches     of {dispatch} ms{why}")?;
    }
    for Entry { key, tuning, labels_per_second } in known.tunings(about) {
        let mixing = match tuning.mixing {
            Mixing::Plain => "",
            Mixing::Cooperative => ", cooperative",
        };
        let rate = labels_per_second.map_or_else(String::new, |rate| format!(": {rate:.0}/s"));
        answer!(
            "  tuned          N = {}, {} ms: gap {}{mixing}, {} labels at a time{rate}",
            key.n,
            key.target_ms,
            tuning.gap.get(),
            tuning.labels
        )?;
    }
    known.probe_for_people(name)
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Discrete => "a card",
        Kind::Integrated => "part of the processor",
        Kind::Virtual => "virtual",
        Kind::Unknown => "unknown",
        Kind::Software => "software",
    }
}

fn backend_name(backend: Backend) -> &'static str {
    match backend {
        Backend::Vulkan => "Vulkan",
        Backend::Metal => "Metal",
        Backend::Dx12 => "DirectX 12",
    }
}
