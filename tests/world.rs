//! A small world for process tests: a temporary home, a network of its own, real programs over a
//! real socket. Every wait has an end; nothing sleeps and hopes.

use chain::Network;
use post::k2pow::Difficulty;
use post::{Params, ScryptN};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes on a busy machine, shorter than anyone's patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary directory with a network file and places for everything.
pub(crate) struct World {
    root: TempDir,
}

impl World {
    /// A world whose network has 2 units of 512 labels, N = 2, and an easy k2pow.
    pub(crate) fn new() -> Self {
        let world = Self { root: tempfile::tempdir().unwrap() };
        let network = Network::new("test".to_owned(), params());
        fs::write(world.network(), toml::to_string(&network).unwrap()).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn network(&self) -> PathBuf {
        self.path("network.toml")
    }

    /// A network file that a prover takes for the same network, but whose k2pow has no solution:
    /// a proof under it never ends.
    pub(crate) fn endless_network(&self) -> PathBuf {
        let text = fs::read_to_string(self.network()).unwrap();
        let (easy, hard) = (params().pow_difficulty, Difficulty([0; 32]));
        let path = self.path("endless.toml");
        fs::write(&path, text.replace(&easy.to_string(), &hard.to_string())).unwrap();
        path
    }

    /// The command line of the prover.
    pub(crate) fn prover(&self, arguments: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_postmesh-prover-under-test"), arguments)
    }

    /// The command line of the node.
    pub(crate) fn node(&self, arguments: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_postmesh-node-under-test"), arguments)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("POSTMESH_HOME", self.path("home"));
        command.env("POSTMESH_SOCKET", self.path("run/node.sock")).env_remove("POSTMESH_LOG");
        command.env("POSTMESH_CACHE", self.path("cache"));
        // Nothing of the user who runs the tests.
        command
            .env("XDG_RUNTIME_DIR", self.path("user"))
            .env("XDG_CONFIG_HOME", self.path("config"));
        for name in ["POSTMESH_CONTROL", "POSTMESH_PROVER_CONFIG", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// A new identity of the node, and complete data of it in `data`.
    pub(crate) fn furnish(&self) -> String {
        let created = self.node(&["identity", "create"]).output().unwrap();
        assert_eq!(created.status.code(), Some(0), "{}", text(&created.stderr));
        let node_id = text(&created.stdout).trim().to_owned();
        let init = self.init(&node_id).output().unwrap();
        assert_eq!(init.status.code(), Some(0), "{}", text(&init.stderr));
        node_id
    }

    /// The command that makes data of an identity in `data`.
    pub(crate) fn init(&self, node_id: &str) -> Command {
        self.init_in(node_id, &self.path("data"))
    }

    /// The command that makes data of an identity in a directory.
    pub(crate) fn init_in(&self, node_id: &str, data: &Path) -> Command {
        let network = self.network();
        let mut command = self.prover(&["init", "--units", "2", "--node-id", node_id]);
        command.arg("--network").arg(network).arg("--data-dir").arg(data);
        command.args(["--commitment-atx", &"22".repeat(32), "--max-file-size", "6400"]);
        command
    }

    /// Makes so many identities of the node, and data of each; the directories.
    pub(crate) fn furnish_many(&self, count: usize) -> Vec<PathBuf> {
        let furnish = |number| {
            let name = format!("i{number}");
            let (code, node_id, said) = run(self.node(&["identity", "create", "--name", &name]));
            assert_eq!(code, Some(0), "{said}");
            let data = self.path(&name);
            let (code, _, said) = run(self.init_in(node_id.trim(), &data));
            assert_eq!(code, Some(0), "{said}");
            data
        };
        (0..count).map(furnish).collect()
    }

    /// Makes the k2pow so hard that one for the 2 units takes about so many hashes.
    pub(crate) fn harden(&self, hashes: u64) {
        let mut post = params();
        let bound = (u64::MAX / hashes).saturating_mul(2).to_be_bytes();
        post.pow_difficulty = Difficulty([0xff; 32]);
        post.pow_difficulty.0[..8].copy_from_slice(&bound);
        let network = Network::new("test".to_owned(), post);
        fs::write(self.network(), toml::to_string(&network).unwrap()).unwrap();
    }

    /// A running node.
    pub(crate) fn start_node(&self, arguments: &[&str]) -> Process {
        let mut command = self.node(&["run"]);
        command.arg("--network").arg(self.network()).args(arguments);
        Process::start(command)
    }

    /// A running prover of the data in directories.
    pub(crate) fn serve(&self, data: &[&Path]) -> Process {
        let mut command = self.prover(&["serve", "--randomx", "light"]);
        command.arg("--network").arg(self.network()).env("POSTMESH_LOG", "info,prover=debug");
        for data in data {
            command.arg("--data-dir").arg(data);
        }
        Process::start(command)
    }

    /// A running prover of the data in `data`.
    pub(crate) fn start_prover(&self, network: &Path) -> Process {
        // An endless k2pow would call for fast mode, whose dataset takes minutes.
        let mut command = self.prover(&["serve", "--randomx", "light", "--no-fill"]);
        command.arg("--network").arg(network).arg("--data-dir").arg(self.path("data"));
        Process::start(command)
    }

    /// Every file in `data` and its bytes; locks, the journal of a proof, the agenda, rates and the
    /// lease are not data.
    pub(crate) fn data(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.path("data")).unwrap().map(|entry| entry.unwrap());
        let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
        let aside = [".lock", ".journal", "_agenda.json", "_rates.json", "_lease.json"];
        let kept = named.filter(|(name, _)| !aside.iter().any(|ending| name.ends_with(ending)));
        kept.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
    }
}

fn params() -> Params {
    Params {
        labels_per_unit: 512,
        units_min: 1,
        units_max: 8,
        scrypt_n: ScryptN::new(2).unwrap(),
        k1: 26,
        k2: 26,
        pow_difficulty: Difficulty([0xff; 32]),
    }
}

/// Bytes that a program printed, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command to its end; its exit code, stdout and stderr.
pub(crate) fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), text(&stdout), text(&stderr))
}

/// A program in the background, whose lines (of stdout and stderr) can be waited for. Killed when
/// dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().unwrap());
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().unwrap());
        for stream in [stdout, stderr] {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that holds `words`, and returns it.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {words:?}; there was:\n{}", self.seen.join("\n"));
                }
            }
        }
    }

    /// Waits for its end, and returns its exit code and all it said.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        // The lines end when the process does: it closes its ends of the pipes.
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        assert!(Instant::now() < end, "it did not end; it said:\n{}", self.seen.join("\n"));
        (self.child.wait().unwrap().code(), self.seen.join("\n"))
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, and returns all it said.
    pub(crate) fn end(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        self.seen.join("\n")
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
