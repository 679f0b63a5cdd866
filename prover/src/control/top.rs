//! `top`: running provers live in the terminal, with single keys to let them rest.
//!
//! What is shown is a pure function of what they said last ([`view`]). Nothing ticks: the screen
//! is drawn when a prover says something or a key is pressed.

mod view;

use super::show::chosen;
use super::{Client, place, words};
use crate::args::{AtArgs, TopArgs};
use crate::outcome::{ExitCode, Failure, Result};
use crate::service::status::{Command, Status};
use crate::stop::signalled;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use view::View;

/// How often it is looked whether there are new provers.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Things that happened and are not shown yet; who has more to say waits.
const HAPPENED_MAX: usize = 64;

/// What changes what is shown.
enum Happened {
    Said(Client, Arc<Status>),
    Went(Client),
    Typed(KeyEvent),
    Resized,
    Told(String),
}

/// What a key wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Quit,
    Tell(Command),
    Next,
    Previous,
    Nothing,
}

/// `top`
pub(crate) fn top(args: &TopArgs) -> Result {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::CouldNot(anyhow::anyhow!(
            "this is no terminal: `postmesh-prover status` prints the same once"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        chosen(&args.at).await?;
        let mut screen = Screen::open()?;
        tokio::select! {
            ended = watch(&args.at, &mut screen.0) => ended,
            stopped = signalled() => Ok(stopped?),
        }
    });
    // A thread may wait for a key for ever.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::Done)
}

/// The terminal while it is ours. It is given back in order whatever happens; for a panic,
/// ratatui sets a hook.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self).inspect_err(|_| ratatui::restore())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows what happens until somebody quits.
async fn watch(at: &AtArgs, terminal: &mut DefaultTerminal) -> Result<()> {
    let (sender, mut happened) = channel(HAPPENED_MAX);
    listen_to_keys(sender.clone())?;
    let mut watched = Watched { at: at.clone(), clients: BTreeSet::new(), sender };
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut view = View::default();
    loop {
        tokio::select! {
            _ = look.tick() => {
                watched.look();
                continue;
            }
            what = next(&mut happened) => match what {
                Happened::Typed(key) => match wish(key) {
                    Wish::Quit => return Ok(()),
                    Wish::Tell(command) => watched.tell(view.chosen(), command),
                    Wish::Next => view.step(1),
                    Wish::Previous => view.step(-1),
                    Wish::Nothing => continue,
                },
                Happened::Said(client, status) => view.said(client, status),
                Happened::Went(client) => {
                    watched.clients.remove(&client);
                    view.went(&client);
                }
                Happened::Told(words) => view.message = Some(words),
                Happened::Resized => {}
            },
        }
        terminal.draw(|frame| view::render(frame, &view))?;
    }
}

/// What happens next. A sender is kept by who asks, so that there is always a next.
async fn next(happened: &mut Receiver<Happened>) -> Happened {
    match happened.recv().await {
        Some(what) => what,
        None => std::future::pending().await,
    }
}

/// The provers that are listened to.
struct Watched {
    at: AtArgs,
    clients: BTreeSet<Client>,
    sender: Sender<Happened>,
}

impl Watched {
    /// Begins to listen to provers that have come.
    fn look(&mut self) {
        let paths = self.at.control.clone().map_or_else(place::found, |path| vec![path]);
        for client in paths.iter().map(|path| Client::at(path)) {
            if self.clients.insert(client.clone()) {
                tokio::spawn(listen(client, self.sender.clone()));
            }
        }
    }

    /// Tells a prover something; what comes of it is shown by its status.
    fn tell(&self, client: Option<&Client>, command: Command) {
        let Some(client) = client.cloned() else { return };
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let words = match client.tell(command).await {
                Ok(()) => "asked".to_owned(),
                Err(error) => words::plain(&error.to_string()),
            };
            let _ = sender.send(Happened::Told(words)).await;
        });
    }
}

/// Passes on what a prover says, until it goes.
async fn listen(client: Client, sender: Sender<Happened>) {
    if let Ok(mut events) = client.events().await {
        while let Ok(Some(status)) = events.next().await {
            if sender.send(Happened::Said(client.clone(), status)).await.is_err() {
                return;
            }
        }
    }
    let _ = sender.send(Happened::Went(client)).await;
}

/// Reads the terminal on a thread of its own, since that blocks. It ends with the process.
fn listen_to_keys(sender: Sender<Happened>) -> io::Result<()> {
    thread::Builder::new().name("keys".into()).spawn(move || {
        while let Ok(event) = event::read() {
            let what = match event {
                TerminalEvent::Key(key) if !key.is_release() => Happened::Typed(key),
                TerminalEvent::Resize(..) => Happened::Resized,
                _ => continue,
            };
            if sender.blocking_send(what).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

fn wish(key: KeyEvent) -> Wish {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Wish::Quit,
        KeyCode::Char('q') => Wish::Quit,
        KeyCode::Char('p') => Wish::Tell(Command::Pause { proofs: false }),
        KeyCode::Char('P') => Wish::Tell(Command::Pause { proofs: true }),
        KeyCode::Char('r') => Wish::Tell(Command::Resume),
        KeyCode::Right | KeyCode::Down => Wish::Next,
        KeyCode::Left | KeyCode::Up => Wish::Previous,
        _ => Wish::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_single_and_others_do_nothing() {
        let typed = |code, modifiers| wish(KeyEvent::new(code, modifiers));
        let plain = |c| typed(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(plain('q'), Wish::Quit);
        assert_eq!(typed(KeyCode::Char('c'), KeyModifiers::CONTROL), Wish::Quit);
        assert_eq!(plain('p'), Wish::Tell(Command::Pause { proofs: false }));
        let shifted = typed(KeyCode::Char('P'), KeyModifiers::SHIFT);
        assert_eq!(shifted, Wish::Tell(Command::Pause { proofs: true }));
        assert_eq!(plain('r'), Wish::Tell(Command::Resume));
        assert_eq!(typed(KeyCode::Left, KeyModifiers::NONE), Wish::Previous);
        for other in ['c', 'x', 'R', ' '] {
            assert_eq!(plain(other), Wish::Nothing, "{other}");
        }
    }
}
