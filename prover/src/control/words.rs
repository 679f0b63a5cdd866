//! A status in words: what `status` and `top` say alike.

use crate::outlook::LIKELY;
use crate::progress::{human, human_time};
use crate::service::status::{
    DeviceStatus, JobState, JobStatus, Kind, NodeStatus, Outlook, Rest, SetStatus, Status,
};
use bytesize::ByteSize;
use core::fmt::Display;

/// Enough of an id to tell it from others.
pub(super) fn short(id: impl Display) -> String {
    let id = id.to_string();
    id.get(..8).unwrap_or(&id).to_owned()
}

/// What is printable of a text that somebody else chose, on one line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Who it is and since when.
pub(super) fn title(status: &Status) -> String {
    let since = human_time(status.now_at.saturating_sub(status.started_at) as f64);
    format!("{}, process {}, for {since}", plain(&status.software), status.pid)
}

pub(super) fn rest(rest: Rest) -> Option<&'static str> {
    match rest {
        Rest::None => None,
        Rest::Asked => Some("everything but proofs rests, as asked"),
        Rest::AskedProofsToo => Some("everything rests, proofs too, as asked"),
        Rest::Battery => Some("everything but proofs rests: the machine runs on its battery"),
    }
}

pub(super) fn node(node: &NodeStatus, now_at: u64) -> String {
    let since = human_time(now_at.saturating_sub(node.since_at) as f64);
    let place = plain(&node.place);
    match (&node.why, node.connected) {
        (_, true) => format!("{place}  connected for {since}"),
        (Some(why), false) => format!("{place}  not there for {since}: {}", plain(why)),
        (None, false) => format!("{place}  not there for {since}"),
    }
}

pub(super) fn set(set: &SetStatus) -> String {
    let units = if set.num_units == 1 { "unit" } else { "units" };
    let labels = u64::from(set.num_units).saturating_mul(set.labels_per_unit);
    let size = ByteSize(labels.saturating_mul(16));
    let state = if set.complete {
        "complete".to_owned()
    } else {
        format!("{} made", percent(ratio(set.labels_present, labels)))
    };
    let disks = match set.disks.as_slice() {
        [] => String::new(),
        disks => format!(" on {}", plain(&disks.join(", "))),
    };
    let outlook = set.outlook.map(|outlook| format!("; {}", outlook_of(outlook)));
    let outlook = outlook.unwrap_or_default();
    format!("{}  {} {units}, {size}, {state}{disks}{outlook}", short(set.node_id), set.num_units)
}

/// What a person should know of a data set or a proof besides, each on a line of its own.
pub(super) fn remarks(
    settings: Option<&String>,
    alarm: Option<&String>,
    other_host: Option<&String>,
) -> Vec<String> {
    let other =
        |host: &String| format!("ANOTHER HOST, {}, USES IT TOO: stop one of them", plain(host));
    let remarks = [
        settings.map(|settings| plain(settings)),
        alarm.map(|alarm| format!("ALARM: {}", plain(alarm))),
        other_host.map(other),
    ];
    remarks.into_iter().flatten().map(|remark| format!("  {remark}")).collect()
}

pub(super) fn device(device: &DeviceStatus) -> String {
    let name = format!("{}  {}", plain(&device.name), plain(&device.what));
    match &device.why_not {
        Some(why) => format!("{name}, not used: {}", plain(why)),
        None if device.labels_made == 0 => name,
        None => format!("{name}, {} labels made", human(device.labels_made as f64)),
    }
}

/// Number, kind, whose, and how far.
pub(super) fn job(job: &JobStatus) -> String {
    let kind = match job.kind {
        Kind::Prove => "proof",
        Kind::Init => "init",
        Kind::Scrub => "scrub",
    };
    let challenge = job.challenge.map(|challenge| format!(" for {}", short(challenge)));
    let challenge = challenge.unwrap_or_default();
    format!("#{} {kind} of {}{challenge}: {}", job.id, short(job.node_id), state(job))
}

fn state(job: &JobStatus) -> String {
    let stage = job.stage.as_deref().map(plain);
    let word = match job.state {
        JobState::Waiting => "waits",
        JobState::Working => stage.as_deref().unwrap_or("works"),
        JobState::Resting => "rests",
        JobState::Undelivered => "done, the node has not confirmed it yet",
        JobState::Done => "done",
        JobState::Failed => "failed",
    };
    match &job.why {
        Some(why) => format!("{word} ({})", plain(why)),
        None => word.to_owned(),
    }
}

/// How much of the stage is done, its rate, and when it ends; nothing for a job that is not worked
/// on.
pub(super) fn pace(job: &JobStatus) -> Option<String> {
    if !matches!(job.state, JobState::Working | JobState::Resting) || job.total == 0 {
        return None;
    }
    let mut words = percent(ratio(job.done, job.total));
    if let Some(rate) = job.rate {
        // What goes by labels is told in what disks are told in.
        match job.stage.as_deref() {
            Some("scan" | "check") => {
                words += &format!(", {}/s", ByteSize((rate * 16.0) as u64));
            }
            Some("labels") => words += &format!(", {} labels/s", human(rate)),
            _ => words += &format!(", {} a minute", human(rate * 60.0)),
        }
    }
    if let Some(seconds) = job.eta_seconds {
        words += &format!(", {} left", human_time(seconds));
    }
    Some(words)
}

/// Time to the deadline, what of it is to spare, and the chance. `None` without a deadline, and
/// for a job that has ended.
pub(super) fn margin(job: &JobStatus, now_at: u64) -> Option<String> {
    let deadline = job.deadline_at?;
    if matches!(job.state, JobState::Done | JobState::Failed) {
        return None;
    }
    if deadline < now_at {
        let late = human_time((now_at - deadline) as f64);
        return Some(format!("LATE: the deadline was {late} ago"));
    }
    let left = (deadline - now_at) as f64;
    let mut words = format!("deadline in {}", human_time(left));
    if job.state == JobState::Undelivered {
        return Some(words);
    }
    if let Some(outlook) = job.outlook {
        let spare = left - outlook.expected_seconds;
        words += &if spare >= 0.0 {
            format!(", {} to spare", human_time(spare))
        } else {
            format!(", {} too short", human_time(-spare))
        };
        if let Some(chance) = outlook.in_time {
            words += &format!(", {}", chance_of(chance));
        }
    }
    Some(words)
}

/// Whether a person should look at it.
pub(super) fn is_in_danger(job: &JobStatus, now_at: u64) -> bool {
    let ended = matches!(job.state, JobState::Done | JobState::Undelivered);
    let late = job.deadline_at.is_some_and(|deadline| deadline < now_at);
    let unlikely = job.outlook.and_then(|outlook| outlook.in_time).is_some_and(|c| c < LIKELY);
    job.state == JobState::Failed || (!ended && (late || unlikely))
}

fn outlook_of(outlook: Outlook) -> String {
    let (expected, most) = (human_time(outlook.expected_seconds), human_time(outlook.most_seconds));
    let chance = outlook.in_time.map(|chance| format!(": {}", chance_of(chance)));
    let chance = chance.unwrap_or_default();
    format!("a proof takes {expected}, 99 of 100 at most {most}{chance}")
}

fn chance_of(chance: f64) -> String {
    let mark = if chance < LIKELY { "IN DANGER, " } else { "" };
    format!("{mark}{} in time", percent(chance))
}

pub(super) fn ratio(done: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { (done as f64 / total as f64).clamp(0.0, 1.0) }
}

/// Rounded down, so that 100 % is all of it.
fn percent(ratio: f64) -> String {
    format!("{:.1} %", (ratio.clamp(0.0, 1.0) * 1000.0).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::tests::proving;

    #[test]
    fn a_margin_says_what_is_left_and_how_likely_it_is() {
        let mut job = proving();
        let (now, deadline) = (1_000, 1_000 + 12 * 3_600);
        job.deadline_at = Some(deadline);
        let outlook = Outlook {
            in_time: Some(0.9987),
            expected_seconds: 7_200.0,
            most_seconds: 1e4,
            nonces: 288,
        };
        job.outlook = Some(outlook);
        let words = margin(&job, now).unwrap();
        assert_eq!(words, "deadline in 12 h 0 min, 10 h 0 min to spare, 99.8 % in time");
        assert!(!is_in_danger(&job, now));
        job.outlook = Some(Outlook { in_time: Some(0.5), expected_seconds: 5e4, ..outlook });
        let words = margin(&job, now).unwrap();
        assert!(words.contains("too short, IN DANGER, 50.0 % in time"), "{words}");
        assert!(is_in_danger(&job, now));
        let words = margin(&job, deadline + 60).unwrap();
        assert_eq!(words, "LATE: the deadline was 1 min 0 s ago");
        job.state = JobState::Done;
        assert_eq!(margin(&job, now), None);
        assert!(!is_in_danger(&job, deadline + 60));
    }

    #[test]
    fn nothing_is_called_whole_before_it_is() {
        assert_eq!(percent(0.99999), "99.9 %");
        assert_eq!(percent(1.0), "100.0 %");
        assert_eq!(percent(f64::NAN), "NaN %");
        assert_eq!((ratio(3, 0), ratio(5, 4)), (0.0, 1.0));
    }

    #[test]
    fn what_others_chose_cannot_move_the_cursor() {
        let mut job = proving();
        job.why = Some("\x1b[2Jgone\nnext".to_owned());
        assert!(!super::job(&job).chars().any(char::is_control));
    }
}
