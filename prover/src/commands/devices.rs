//! `devices`: what can compute here, what it is used for, and why something is not used.

use crate::args::DevicesArgs;
use crate::devices::{self, CPU, Entry, Tunings};
use crate::outcome::{ExitCode, Result, answer};
use crate::worker::{About, Launcher, Patience, WorkerFault};
use bytesize::ByteSize;
use gpu::{Backend, Gap, Kind, Mixing, Skip};
use serde_json::{Value, json};
use std::num::NonZeroUsize;

/// What a device that is used is used for.
const USES: [&str; 2] = ["init", "prove"];

/// Lists the CPU, and every GPU once.
pub(crate) fn devices(args: &DevicesArgs) -> Result {
    let listed = crate::worker::list(&Launcher::own()?, Patience::default());
    let known = Tunings::of_user().map(|tunings| tunings.all()).unwrap_or_default();
    if args.json { as_json(&listed, &known)? } else { for_people(&listed, &known)? }
    Ok(if listed.is_ok() { ExitCode::Done } else { ExitCode::CouldNot })
}

type Listed = std::result::Result<Vec<About>, WorkerFault>;

/// What is known of a device with the driver that it has now.
fn tunings<'a>(about: &'a About, known: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
    known.iter().filter(|it| it.key.device == about.name && it.key.driver == about.driver)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn as_json(listed: &Listed, known: &[Entry]) -> std::io::Result<()> {
    let cpu = json!({
        "name": CPU, "stable": true, "kind": "cpu", "threads": threads(),
        "label_kernels": cpu::label_kernels(), "scan_kernels": cpu::scan_kernels(),
        "uses": USES, "skipped": null,
    });
    let gpus = listed.iter().flatten().map(|about| gpu_as_json(about, known));
    let devices: Vec<_> = [cpu].into_iter().chain(gpus).collect();
    let fault = listed.as_ref().err().map(ToString::to_string);
    answer!("{}", json!({ "devices": devices, "fault": fault }))
}

fn gpu_as_json(about: &About, known: &[Entry]) -> Value {
    let About { name, stable, model, kind, backend, also, driver, binding_bytes, skip } = about;
    let tuned = tunings(about, known).map(|entry| {
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
        "tuned": tuned.collect::<Vec<_>>(),
    })
}

fn for_people(listed: &Listed, known: &[Entry]) -> std::io::Result<()> {
    answer!("{CPU}")?;
    answer!("  used for       {}, by {} threads", USES.join(", "), threads())?;
    let (labels, scan) = (cpu::label_kernels().join(", "), cpu::scan_kernels().join(", "));
    answer!("  kernels        labels {labels}; scan {scan}; the first is used")?;
    match listed {
        Ok(listed) if listed.is_empty() => answer!("{}.", devices::none_usable(listed)),
        Ok(listed) => listed.iter().try_for_each(|about| gpu_for_people(about, known)),
        Err(fault) => answer!(
            "The GPUs cannot be listed, so the CPU does all: {fault}. Update or remove the driver."
        ),
    }
}

fn gpu_for_people(about: &About, known: &[Entry]) -> std::io::Result<()> {
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
    for Entry { key, tuning, labels_per_second } in tunings(about, known) {
        let mixing = match tuning.mixing {
            Mixing::Plain => "",
            Mixing::Cooperative => ", cooperative",
        };
        let rate = labels_per_second.map_or_else(String::new, |rate| format!(": {rate:.0}/s"));
        answer!(
            "  tuned          N = {}, {} ms: gap {}{mixing}, {} labels at a time{rate}",
            key.n,
            key.target_ms,
            Gap::get(tuning.gap),
            tuning.labels
        )?;
    }
    Ok(())
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
