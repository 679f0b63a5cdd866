//! The control socket under friends and under strangers, over real sockets.

use super::*;
use crate::args::{AtArgs, ControlArgs};
use crate::service::status::{
    DeviceStatus, JobState, JobStatus, Kind, NodeStatus, Outlook, SetStatus,
};
use post::{AtxId, Challenge, NodeId};
use std::path::PathBuf;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// A proof that is half done.
pub(super) fn proving() -> JobStatus {
    JobStatus {
        id: 3,
        kind: Kind::Prove,
        state: JobState::Working,
        node_id: NodeId([1; 32]),
        challenge: Some(Challenge([9; 32])),
        stage: Some("scan".to_owned()),
        done: 1 << 33,
        total: 1 << 34,
        rate: Some(1e7),
        eta_seconds: Some(859.0),
        asked_at: 9_000,
        deadline_at: Some(10_000 + 12 * 3_600),
        outlook: Some(outlook()),
        settings: Some("288 nonces a pass, as asked for".to_owned()),
        alarm: None,
        why: None,
    }
}

fn outlook() -> Outlook {
    Outlook {
        in_time: Some(0.9987),
        expected_seconds: 7_200.0,
        most_seconds: 18_000.0,
        nonces: 288,
    }
}

/// A prover with something of everything.
pub(super) fn busy() -> Status {
    let node = |place: &str, connected, since_at, why: Option<&str>| NodeStatus {
        place: place.to_owned(),
        connected,
        since_at,
        why: why.map(str::to_owned),
    };
    let device = |name: &str, what: &str, why_not: Option<&str>| DeviceStatus {
        name: name.to_owned(),
        what: what.to_owned(),
        labels_made: 1_000_000,
        why_not: why_not.map(str::to_owned),
    };
    Status {
        software: "postmesh-prover 0.1.0".to_owned(),
        pid: 7,
        started_at: 6_400,
        now_at: 10_000,
        rest: crate::service::status::Rest::None,
        nodes: vec![
            node("/run/node.sock", true, 9_400, None),
            node("attic:7417", false, 9_900, Some("no answer")),
        ],
        sets: vec![SetStatus {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            directories: vec![PathBuf::from("/mnt/a"), PathBuf::from("/mnt/b")],
            disks: vec!["sda".to_owned(), "sdb".to_owned()],
            num_units: 4,
            labels_per_unit: 1 << 32,
            labels_present: 1 << 34,
            complete: true,
            outlook: Some(outlook()),
            settings: Some("288 nonces a pass, as asked for".to_owned()),
            alarm: None,
            other_host: Some("cellar".to_owned()),
        }],
        jobs: vec![proving()],
        devices: vec![
            device("cpu", "a processor", None),
            device("gpu:0", "a card", Some("it made wrong labels")),
        ],
    }
}

/// A control socket in a directory of its own, served.
struct Served {
    root: tempfile::TempDir,
    web: Option<SocketAddr>,
    status: watch::Sender<Arc<Status>>,
    commands: mpsc::Receiver<Command>,
    task: JoinHandle<()>,
}

impl Served {
    async fn with(bounds: Bounds) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = AtArgs { control: Some(root.path().join("run/p.sock")) };
        let http = Some("127.0.0.1:0".parse().unwrap());
        let mut control =
            Control::bind(&ControlArgs { at, http, http_public: false }).await.unwrap();
        control.bounds = bounds;
        let web = control.web();
        let (status, watched) = watch::channel(Arc::new(busy()));
        let (told, commands) = mpsc::channel(1);
        let task = tokio::spawn(control.serve(watched, told));
        Self { root, web, status, commands, task }
    }

    async fn new() -> Self {
        Self::with(Bounds::default()).await
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("run/p.sock")
    }

    fn client(&self) -> Client {
        Client::at(&self.path())
    }

    async fn dial(&self) -> UnixStream {
        UnixStream::connect(self.path()).await.unwrap()
    }

    /// All that is answered to bytes on the local socket.
    async fn answer_to(&self, bytes: &[u8]) -> String {
        all_of(self.dial().await, bytes).await
    }

    /// The same by TCP.
    async fn web_answer_to(&self, bytes: &[u8]) -> String {
        all_of(TcpStream::connect(self.web.unwrap()).await.unwrap(), bytes).await
    }
}

/// Everything that comes until the other side closes, however it does.
async fn all_of(mut stream: impl Stream, bytes: &[u8]) -> String {
    let _ = stream.write_all(bytes).await;
    let (mut read, mut part) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = stream.read(&mut part).await {
        read.extend_from_slice(&part[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn request(method: &str, route: &str, host: &str) -> Vec<u8> {
    format!("{method} {route} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn the_status_crosses_whole() {
    let served = Served::new().await;
    assert_eq!(served.client().status().await.unwrap(), busy());
    let jobs = served.answer_to(&request("GET", "/jobs", "x")).await;
    assert!(jobs.starts_with("HTTP/1.1 200") && jobs.contains(r#""stage":"scan""#), "{jobs}");
    let devices = served.answer_to(&request("GET", "/devices", "x")).await;
    assert!(devices.contains(r#""name":"gpu:0""#), "{devices}");
    let nothing = served.answer_to(&request("GET", "/", "x")).await;
    assert!(nothing.starts_with("HTTP/1.1 404"), "{nothing}");
}

#[tokio::test]
async fn commands_arrive_and_a_service_that_does_not_listen_is_told_of() {
    let mut served = Served::new().await;
    let client = served.client();
    for command in [
        Command::Pause { proofs: false },
        Command::Pause { proofs: true },
        Command::Resume,
        Command::Reload,
    ] {
        client.tell(command).await.unwrap();
        assert_eq!(served.commands.recv().await, Some(command));
    }
    client.tell(Command::Resume).await.unwrap();
    let refused = client.tell(Command::Resume).await.unwrap_err().to_string();
    assert!(refused.contains("busy"), "{refused}");
    served.commands.close();
    let refused = client.tell(Command::Resume).await.unwrap_err().to_string();
    assert!(refused.contains("stopping"), "{refused}");
}

#[tokio::test]
async fn nothing_is_told_by_tcp_and_no_other_name_is_answered_to() {
    let mut served = Served::new().await;
    let own = served.web.unwrap().to_string();
    let status = served.web_answer_to(&request("GET", "/status", &own)).await;
    assert!(status.starts_with("HTTP/1.1 200") && status.contains(r#""pid":7"#), "{status}");
    for route in ["/pause", "/resume", "/reload"] {
        let refused = served.web_answer_to(&request("POST", route, &own)).await;
        assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
        let refused = served.answer_to(&request("GET", route, "x")).await;
        assert!(refused.starts_with("HTTP/1.1 405"), "{refused}");
    }
    assert!(served.commands.try_recv().is_err());
    for host in ["evil.example", "evil.example:80"] {
        let refused = served.web_answer_to(&request("GET", "/status", host)).await;
        assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("pid"), "{refused}");
    }
    let nameless = b"GET /status HTTP/1.0\r\n\r\n";
    assert!(served.web_answer_to(nameless).await.starts_with("HTTP/1.0 403"));
}

#[tokio::test]
async fn an_address_that_others_reach_must_be_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let at = AtArgs { control: Some(root.path().join("run/p.sock")) };
    let mut args = ControlArgs { at, http: Some("0.0.0.0:0".parse().unwrap()), http_public: false };
    let refused = Control::bind(&args).await;
    assert!(matches!(refused, Err(Failure::Usage(why)) if why.contains("--http-public")));
    args.http_public = true;
    assert!(Control::bind(&args).await.unwrap().web().is_some());
}

#[tokio::test]
async fn events_tell_of_changes_until_the_service_ends() {
    let served = Served::new().await;
    let mut events = served.client().events().await.unwrap();
    assert_eq!(*events.next().await.unwrap().unwrap(), busy());
    // What happens between two snapshots is passed over: the last word counts.
    for pid in 100..200 {
        served.status.send_replace(Arc::new(Status { pid, ..busy() }));
    }
    assert_eq!(events.next().await.unwrap().unwrap().pid, 199);
    served.task.abort();
    assert_eq!(events.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_head_too_long_is_refused_and_a_body_not_read() {
    let mut served = Served::new().await;
    let head = format!("GET /status HTTP/1.1\r\nhost: x\r\nlong: {}", "x".repeat(1 << 20));
    let refused = served.answer_to(head.as_bytes()).await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
    let endless = b"POST /pause HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999999\r\n\r\n";
    let answered = served.answer_to(&[&endless[..], &[b'x'; 1 << 16]].concat()).await;
    assert!(answered.is_empty() || answered.starts_with("HTTP/1.1 202"), "{answered}");
    assert_eq!(served.commands.recv().await, Some(Command::Pause { proofs: false }));
    let garbage = served.answer_to(b"\x16\x03\x01 no http at all\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    assert_eq!(served.client().status().await.unwrap(), busy());
}

#[tokio::test]
async fn who_is_silent_is_cut_off() {
    let short = Duration::from_millis(50);
    let bounds = Bounds { head: short, write: short, ..Bounds::default() };
    let served = Served::with(bounds).await;
    // Each of these ends only because the server ends it.
    assert_eq!(served.answer_to(b"").await, "");
    assert_eq!(served.answer_to(b"GET /sta").await, "");
    let kept = served.answer_to(b"GET /status HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(kept.starts_with("HTTP/1.1 200"), "{kept}");
}

#[tokio::test]
async fn a_watcher_that_does_not_read_loses_its_place() {
    let write = Duration::from_millis(50);
    let served = Served::with(Bounds { connections: 1, write, ..Bounds::default() }).await;
    // More than the system buffers.
    let software = "x".repeat(4 << 20);
    served.status.send_replace(Arc::new(Status { software, ..busy() }));
    let mut deaf = served.dial().await;
    deaf.write_all(&request("GET", "/events", "x")).await.unwrap();
    deaf.read_exact(&mut [0; 12]).await.unwrap();
    served.status.send_replace(Arc::new(busy()));
    // There is one place: somebody else is served only once it is free.
    while served.client().status().await.is_err() {}
    let read = all_of(deaf, b"").await;
    assert!(read.len() < 4 << 20, "{} bytes", read.len());
}

#[tokio::test]
async fn one_more_than_there_are_places_for_is_told_so_and_the_others_are_unharmed() {
    let served = Served::with(Bounds { connections: 8, ..Bounds::default() }).await;
    let mut watchers = Vec::new();
    for _ in 0..8 {
        let mut events = served.client().events().await.unwrap();
        events.next().await.unwrap().unwrap();
        watchers.push(events);
    }
    for _ in 0..100 {
        let full = served.answer_to(b"").await;
        assert!(full.starts_with("HTTP/1.1 503"), "{full}");
    }
    served.status.send_replace(Arc::new(Status { pid: 8, ..busy() }));
    for events in &mut watchers {
        assert_eq!(events.next().await.unwrap().unwrap().pid, 8);
    }
    drop(watchers);
    // Places come back once the server has seen them go.
    while served.client().status().await.is_err() {}
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let served = Served::new().await;
    let text = served.answer_to(&request("GET", "/metrics", "x")).await;
    for line in [
        "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8",
        "postmesh_prover_info{software=\"postmesh-prover 0.1.0\"} 1.0",
        "postmesh_prover_node_connected{node=\"attic:7417\"} 0.0",
        "postmesh_prover_jobs{kind=\"prove\",state=\"working\"} 1.0",
        "postmesh_prover_jobs{kind=\"scrub\",state=\"waiting\"} 0.0",
        "# TYPE postmesh_prover_device_labels counter",
        "postmesh_prover_device_labels_total{device=\"cpu\"} 1000000.0",
        "postmesh_prover_device_usable{device=\"gpu:0\"} 0.0",
    ] {
        assert!(text.lines().any(|said| said == line), "{line}\n{text}");
    }
    let set = format!("{{node_id=\"{}\",directory=\"/mnt/a\"}}", NodeId([1; 32]));
    let bytes = format!("postmesh_prover_set_bytes{set} 274877906944.0");
    assert!(text.contains(&bytes), "{text}");
    assert!(text.trim_end().ends_with("# EOF"), "{text}");
}
