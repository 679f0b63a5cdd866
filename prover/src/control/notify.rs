//! What the service manager is told (systemd's `Type=notify`); nothing where there is none.

/// The service is up.
pub(crate) fn ready() {
    #[cfg(target_os = "linux")]
    say(&[sd_notify::NotifyState::Ready]);
}

/// What it does now, in a line for `systemctl status`.
pub(crate) fn doing(what: &str) {
    #[cfg(target_os = "linux")]
    say(&[sd_notify::NotifyState::Status(&super::words::plain(what))]);
    #[cfg(not(target_os = "linux"))]
    let _ = what;
}

/// It is on its way down.
pub(crate) fn stopping() {
    #[cfg(target_os = "linux")]
    say(&[sd_notify::NotifyState::Stopping]);
}

/// The service goes on if nobody hears it.
#[cfg(target_os = "linux")]
fn say(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager could not be told: {error}");
    }
}
