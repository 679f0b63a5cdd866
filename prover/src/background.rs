//! `--background`: last in line for processor and disk, so that people do not notice the work.

use crate::args::WorkArgs;

/// With `--background`, puts this thread, and every thread that it will start, last in line.
///
/// Called once somebody listens for Ctrl-C: who is last in line on a busy machine hears nothing
/// for minutes. What the system refuses is told, and the work goes on.
pub(crate) fn enter(work: &WorkArgs) {
    if !work.background {
        return;
    }
    if let Err(why) = last_in_line() {
        tracing::warn!("--background: this system does not lower our priority ({why})");
    }
}

#[cfg(target_os = "linux")]
fn last_in_line() -> Result<(), String> {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
    // The idle policy is lower than the lowest niceness, and Linux takes the class of IO from it
    // (`task_nice_ioclass` in `include/linux/ioprio.h`): disks too serve everybody else first.
    let idle = thread_priority::set_thread_priority_and_policy(
        thread_priority::thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
    );
    // Where the policy is refused, niceness still helps; and tools show it.
    rustix::process::nice(19).map_err(|why| why.to_string())?;
    idle.map_err(|why| format!("{why:?}"))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn last_in_line() -> Result<(), String> {
    rustix::process::nice(19).map(drop).map_err(|why| why.to_string())
}

#[cfg(not(unix))]
fn last_in_line() -> Result<(), String> {
    Err("not known how on this system".to_owned())
}
