//! What `top` shows: a pure function of what the provers said last. Everything that colour says
//! is said by words too.

use crate::control::{Client, words};
use crate::service::status::{JobState, JobStatus, Status};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use std::sync::Arc;

const KEYS: &str = "p pause  P proofs too  r resume  q quit";
const KEYS_OF_SEVERAL: &str = "p pause  P proofs too  r resume  q quit  <> prover";
/// Cells of a bar.
const BAR: usize = 24;

/// The provers in the order of their sockets, and which of them is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    provers: Vec<(Client, Arc<Status>)>,
    at: usize,
    /// Whether a person chose; else it is the first one.
    by_hand: bool,
    /// What came of the last key.
    pub(super) message: Option<String>,
}

impl View {
    pub(super) fn said(&mut self, client: Client, status: Arc<Status>) {
        match self.provers.binary_search_by(|(other, _)| other.cmp(&client)) {
            Ok(known) => self.provers[known].1 = status,
            Err(place) => {
                self.provers.insert(place, (client, status));
                // Whoever was chosen stays so.
                if self.by_hand && place <= self.at {
                    self.at += 1;
                }
            }
        }
    }

    pub(super) fn went(&mut self, client: &Client) {
        let Some(place) = self.provers.iter().position(|(other, _)| other == client) else {
            return;
        };
        self.provers.remove(place);
        if place < self.at {
            self.at -= 1;
        }
        self.at = self.at.min(self.provers.len().saturating_sub(1));
    }

    /// The prover that is looked at.
    pub(super) fn chosen(&self) -> Option<&Client> {
        self.provers.get(self.at).map(|(client, _)| client)
    }

    /// Looks at another one; after the last comes the first.
    pub(super) fn step(&mut self, by: isize) {
        let count = self.provers.len().max(1);
        self.at = self.at.saturating_add_signed(by + count as isize) % count;
        self.by_hand = true;
        self.message = None;
    }
}

/// Draws it all: whatever does not fit is left out from below, the keys last.
pub(super) fn render(frame: &mut Frame<'_>, view: &View) {
    let [body, keys] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    let mut lines = Vec::new();
    match view.provers.get(view.at) {
        None => lines.push(Line::from("no prover runs any more; waiting for one")),
        Some((client, status)) => {
            head(&mut lines, view, client, status);
            jobs(&mut lines, status);
            section(&mut lines, "data", status.sets.iter().map(words::set));
            section(&mut lines, "devices", status.devices.iter().map(words::device));
        }
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), body);
    let known = if view.provers.len() > 1 { KEYS_OF_SEVERAL } else { KEYS };
    let mut line = vec![Span::styled(known, Modifier::REVERSED)];
    line.extend(view.message.iter().map(|message| Span::raw(format!("  {message}"))));
    frame.render_widget(Line::from(line), keys);
}

fn head(lines: &mut Vec<Line<'_>>, view: &View, client: &Client, status: &Status) {
    let place = client.path().display();
    let which = match view.provers.len() {
        0 | 1 => String::new(),
        count => format!("prover {} of {count}: ", view.at + 1),
    };
    lines.push(Line::styled(words::title(status), Modifier::BOLD));
    lines.push(Line::from(format!("{which}{place}")));
    if let Some(rest) = words::rest(status.rest) {
        lines.push(Line::styled(format!("REST: {rest}"), alarm()));
    }
    for node in &status.nodes {
        let style = if node.connected { Style::new() } else { alarm() };
        lines.push(Line::styled(format!("node {}", words::node(node, status.now_at)), style));
    }
}

fn jobs(lines: &mut Vec<Line<'_>>, status: &Status) {
    heading(lines, "jobs");
    if status.jobs.is_empty() {
        lines.push(Line::from("  none: waiting to be asked for a proof"));
    }
    for job in &status.jobs {
        let now = status.now_at;
        let style = if words::is_in_danger(job, now) { alarm() } else { Style::new() };
        lines.push(Line::styled(format!("  {}", words::job(job)), style));
        if let Some(pace) = words::pace(job) {
            lines.push(Line::from(format!("    {} {pace}", bar(job))));
        }
        if let Some(margin) = words::margin(job, now) {
            lines.push(Line::styled(format!("    {margin}"), style));
        }
    }
}

fn section(lines: &mut Vec<Line<'_>>, name: &'static str, items: impl Iterator<Item = String>) {
    heading(lines, name);
    lines.extend(items.map(|item| Line::from(format!("  {item}"))));
}

fn heading(lines: &mut Vec<Line<'_>>, name: &'static str) {
    lines.push(Line::styled(name, Modifier::BOLD));
}

/// How much of the stage is done; dots for what rests.
fn bar(job: &JobStatus) -> String {
    let full = (words::ratio(job.done, job.total) * BAR as f64) as usize;
    let done = if job.state == JobState::Resting { "." } else { "#" };
    format!("[{}{}]", done.repeat(full), " ".repeat(BAR - full))
}

fn alarm() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::tests::busy;
    use crate::service::status::Rest;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::path::Path;

    fn view(count: usize) -> View {
        let mut view = View::default();
        for number in 1..=count {
            let client = Client::at(Path::new(&format!("/run/{number:02}.sock")));
            view.said(client, Arc::new(Status { pid: number as u32, ..busy() }));
        }
        view
    }

    fn drawn(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| render(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn what_matters_is_there() {
        let shown = drawn(&view(1), 110, 30);
        for part in [
            "postmesh-prover 0.1.0, process 1, for 1 h 0 min",
            "/run/01.sock",
            "node /run/node.sock  connected for 10 min 0 s",
            "#3 proof of 01010101 for 09090909: scan",
            "[############            ] 50.0 %",
            "14 min 19 s left",
            "deadline in 12 h 0 min, 10 h 0 min to spare, 99.8 % in time",
            "4 units, 256.0 GiB, complete on sda, sdb",
            "gpu:0  a card, not used: it made wrong labels",
            KEYS,
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert!(!shown.contains("REST"), "{shown}");
    }

    #[test]
    fn a_small_terminal_shows_the_job_and_the_keys() {
        let mut resting = view(1);
        resting.said(
            Client::at(Path::new("/run/01.sock")),
            Arc::new(Status { rest: Rest::AskedProofsToo, ..busy() }),
        );
        let shown = drawn(&resting, 60, 15);
        for part in ["REST: everything rests", "#3 proof", "99.8 %", KEYS] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        for (width, height) in [(1, 1), (2, 40), (300, 2)] {
            drawn(&resting, width, height);
        }
    }

    #[test]
    fn the_one_that_was_chosen_stays_so_when_others_come_and_go() {
        let mut view = view(3);
        view.went(&Client::at(Path::new("/run/01.sock")));
        view.said(Client::at(Path::new("/run/01.sock")), Arc::new(busy()));
        let path = |view: &View| view.chosen().unwrap().path().to_path_buf();
        assert_eq!(path(&view), Path::new("/run/01.sock"));
        view.step(1);
        assert_eq!(path(&view), Path::new("/run/02.sock"));
        let first = Client::at(Path::new("/run/00.sock"));
        view.said(first.clone(), Arc::new(busy()));
        assert_eq!(path(&view), Path::new("/run/02.sock"));
        assert!(drawn(&view, 80, 24).contains("prover 3 of 4: /run/02.sock"));
        view.went(&first);
        assert_eq!(path(&view), Path::new("/run/02.sock"));
        view.step(2);
        assert_eq!(path(&view), Path::new("/run/01.sock"));
        view.step(-1);
        assert_eq!(path(&view), Path::new("/run/03.sock"));
        view.went(&Client::at(Path::new("/run/03.sock")));
        assert_eq!(path(&view), Path::new("/run/02.sock"));
        for number in 1..=2 {
            view.went(&Client::at(Path::new(&format!("/run/{number:02}.sock"))));
        }
        view.step(1);
        assert_eq!(view.chosen(), None);
        assert!(drawn(&view, 80, 24).contains("no prover runs any more"));
    }
}
