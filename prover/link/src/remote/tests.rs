//! Pairing and links over the loopback, and those who must be turned away.

use super::*;
use crate::roster::Roster;
use wire::{SpokenVersions, ToNode, ToProver, Version};

struct World {
    root: tempfile::TempDir,
    listener: RemoteListener,
    address: String,
    node: LinkKey,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let node = LinkKey::from_seed([1; 32]);
        let roster = RosterFile::at(&root.path().join("provers.json"));
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = RemoteListener::bind(any, &node, roster).unwrap();
        let address = listener.address().unwrap().to_string();
        Self { root, listener, address, node }
    }

    fn roster(&self) -> RosterFile {
        RosterFile::at(&self.root.path().join("provers.json"))
    }

    fn invite(&self, secret: u8) -> Code {
        let code = Code::new(self.node.id(), [secret; 16]);
        self.roster().change(|roster| roster.invite(&code, unix_now())).unwrap().unwrap();
        code
    }

    async fn pair(&self, code: &Code, name: &str, key: &LinkKey) -> Result<LinkId, LinkError> {
        pair(&self.address, code, name, key).await
    }
}

fn key(seed: u8) -> LinkKey {
    LinkKey::from_seed([seed; 32])
}

fn hello() -> ToNode {
    let network = post::NetworkId([9; 32]);
    ToNode::Hello { versions: SpokenVersions::OURS, network, software: "x".repeat(512) }
}

#[tokio::test]
async fn a_prover_is_paired_once_and_connects_ever_after() {
    let mut world = World::new();
    let code = world.invite(5);
    let node = world.pair(&code, "attic", &key(2)).await.unwrap();
    assert_eq!(node, world.node.id());
    for _ in 0..3 {
        let dialled = dial_remote(&world.address, node, &key(2)).await.unwrap();
        let (mut prover_in, mut prover_out) = dialled.split();
        prover_out.send(&hello()).await.unwrap();
        let (paired, accepted) = world.listener.accept().await.unwrap();
        assert_eq!((paired.name.as_str(), paired.id), ("attic", key(2).id()));
        let (mut node_in, mut node_out) = accepted.split();
        assert_eq!(node_in.next().await.unwrap(), Some(hello()));
        for _ in 0..1000 {
            node_out.send(&ToProver::Info).await.unwrap();
            assert_eq!(prover_in.next().await.unwrap(), Some(ToProver::Info));
        }
        // Last words arrive, and then the end.
        node_out.send(&ToProver::Welcome(Version::V1)).await.unwrap();
        drop((node_in, node_out));
        assert_eq!(prover_in.next().await.unwrap(), Some(ToProver::Welcome(Version::V1)));
        assert_eq!(prover_in.next::<ToProver>().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_code_is_good_for_one_prover() {
    let mut world = World::new();
    let code = world.invite(5);
    world.pair(&code, "attic", &key(2)).await.unwrap();
    let replayed = world.pair(&code, "cellar", &key(3)).await;
    assert!(matches!(replayed, Err(LinkError::Refused(PairRefusal::Code))), "{replayed:?}");
    let told = world.listener.accept().await.unwrap_err();
    assert!(matches!(told, LinkError::PairingFailed { id, .. } if id == key(3).id()), "{told}");
    // A right code for a name that is taken is not used up by that.
    let code = world.invite(6);
    let taken = world.pair(&code, "attic", &key(3)).await;
    assert!(matches!(taken, Err(LinkError::Refused(PairRefusal::NameTaken))), "{taken:?}");
    world.pair(&code, "cellar", &key(3)).await.unwrap();
    let names: Vec<_> =
        world.roster().read().unwrap().provers().map(|one| one.name.clone()).collect();
    assert_eq!(names, ["attic", "cellar"]);
}

#[tokio::test]
async fn three_wrong_codes_burn_the_right_one() {
    let world = World::new();
    let code = world.invite(5);
    for _ in 0..3 {
        let wrong = Code::new(world.node.id(), [6; 16]);
        let refused = world.pair(&wrong, "attic", &key(2)).await;
        assert!(matches!(refused, Err(LinkError::Refused(PairRefusal::Code))));
    }
    let burned = world.pair(&code, "attic", &key(2)).await;
    assert!(matches!(burned, Err(LinkError::Refused(PairRefusal::Code))));
    assert_eq!(world.roster().read().unwrap(), Roster::default());
}

#[tokio::test]
async fn a_man_in_the_middle_is_told_no_secret() {
    // The code names another node than the one that answers.
    let world = World::new();
    let code = Code::new(key(8).id(), [5; 16]);
    let refused = world.pair(&code, "attic", &key(2)).await;
    assert!(matches!(refused, Err(LinkError::WrongNode { .. })), "{refused:?}");
    let refused = dial_remote(&world.address, key(8).id(), &key(2)).await;
    assert!(matches!(refused, Err(LinkError::WrongNode { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_stranger_and_a_prover_that_was_removed_are_turned_away() {
    let mut world = World::new();
    let code = world.invite(5);
    let node = world.pair(&code, "attic", &key(2)).await.unwrap();
    world.roster().change(|roster| roster.remove("attic")).unwrap().unwrap();
    for seed in [2, 3] {
        let turned_away = async {
            let dialled = dial_remote(&world.address, node, &key(seed)).await?;
            let (mut incoming, mut outgoing) = dialled.split();
            outgoing.send(&hello()).await?;
            incoming.next::<ToProver>().await
        };
        let turned_away = turned_away.await.unwrap_err();
        assert!(matches!(turned_away, LinkError::NotPaired), "{turned_away:?}");
        let told = world.listener.accept().await.unwrap_err();
        assert!(matches!(told, LinkError::Unknown { id, .. } if id == key(seed).id()), "{told}");
    }
}

#[tokio::test]
async fn who_speaks_no_protocol_is_told_none() {
    let mut world = World::new();
    let code = world.invite(5);
    let node = world.pair(&code, "attic", &key(2)).await.unwrap();
    // Another protocol is refused by TLS.
    let expected = Box::new(|_| true);
    let other = connect(&world.address, &key(2), expected, b"h3").await;
    assert!(other.is_err());
    // A paired prover that talks nonsense breaks its own connection only.
    let connection = connect(&world.address, &key(2), Box::new(|_| true), tls::LINK).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[0xff; 4096]).await.unwrap();
    let (_, accepted) = world.listener.accept().await.unwrap();
    let (mut incoming, _outgoing) = accepted.split();
    assert!(matches!(incoming.next::<ToNode>().await, Err(LinkError::BadFrame(_))));
    dial_remote(&world.address, node, &key(2)).await.unwrap();
}

#[tokio::test]
async fn nobody_at_home_is_said_as_such() {
    let nowhere = dial_remote("no.such.host.invalid:1", key(1).id(), &key(2)).await;
    assert!(matches!(nowhere, Err(LinkError::BadAddress { .. })), "{nowhere:?}");
    let bad = dial_remote("localhost", key(1).id(), &key(2)).await;
    assert!(matches!(bad, Err(LinkError::BadAddress { .. })), "{bad:?}");
}

/// A network of 100 ms each way that loses one datagram in fifty, between a prover and `target`.
/// Returns the address that stands for the target.
async fn bad_network(target: SocketAddr) -> SocketAddr {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let front = Arc::new(tokio::net::UdpSocket::bind(any).await.unwrap());
    let back = Arc::new(tokio::net::UdpSocket::bind(any).await.unwrap());
    let address = front.local_addr().unwrap();
    let prover = Arc::new(std::sync::Mutex::new(None));
    let seen = Arc::clone(&prover);
    let there = carry(Arc::clone(&front), Arc::clone(&back), 1, move |from| {
        *seen.lock().unwrap() = Some(from);
        Some(target)
    });
    let back_again = carry(back, front, 2, move |_| *prover.lock().unwrap());
    tokio::spawn(there);
    tokio::spawn(back_again);
    address
}

async fn carry(
    from: Arc<tokio::net::UdpSocket>,
    to: Arc<tokio::net::UdpSocket>,
    mut seed: u64,
    goes_to: impl Fn(SocketAddr) -> Option<SocketAddr>,
) {
    let mut datagram = vec![0; 65_536];
    while let Ok((length, sender)) = from.recv_from(&mut datagram).await {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let Some(receiver) = goes_to(sender).filter(|_| !(seed >> 33).is_multiple_of(50)) else {
            continue;
        };
        let (to, bytes) = (Arc::clone(&to), datagram[..length].to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = to.send_to(&bytes, receiver).await;
        });
    }
}

#[tokio::test]
async fn a_slow_network_that_loses_datagrams_costs_time_only() {
    let mut world = World::new();
    let target = world.listener.address().unwrap();
    let address = bad_network(target).await.to_string();
    let code = world.invite(5);
    let node = pair(&address, &code, "far-away", &key(2)).await.unwrap();
    let (mut prover_in, mut prover_out) =
        dial_remote(&address, node, &key(2)).await.unwrap().split();
    prover_out.send(&hello()).await.unwrap();
    let (_, accepted) = world.listener.accept().await.unwrap();
    let (mut node_in, mut node_out) = accepted.split();
    // Many messages on their way at once, in both directions.
    let talk = async {
        for _ in 0..500 {
            prover_out.send(&hello()).await.unwrap();
        }
        for _ in 0..500 {
            assert_eq!(prover_in.next().await.unwrap(), Some(ToProver::Info));
        }
    };
    let listen = async {
        for _ in 0..=500 {
            assert_eq!(node_in.next().await.unwrap(), Some(hello()));
        }
        for _ in 0..500 {
            node_out.send(&ToProver::Info).await.unwrap();
        }
        node_out
    };
    let ((), _node_out) = tokio::join!(talk, listen);
}

/// Five thousand who knock and say nothing, from one process: a prover that is known gets through.
#[tokio::test]
async fn a_crowd_at_the_door_keeps_no_prover_out() {
    let mut world = World::new();
    let code = world.invite(5);
    let node = world.pair(&code, "attic", &key(2)).await.unwrap();
    let target = world.listener.address().unwrap();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..5_000_u32 {
        // The first datagram of a QUIC handshake (RFC 9000, section 17.2.2), with nonsense in it.
        let mut datagram = vec![0xc3, 0, 0, 0, 1, 8];
        datagram.extend([number.to_be_bytes(), [7; 4]].concat());
        datagram.extend([0, 0, 0x44, 0x9e]);
        datagram.resize(1200, number as u8);
        socket.send_to(&datagram, target).await.unwrap();
        if number % 1000 == 500 {
            let dialled = dial_remote(&world.address, node, &key(2)).await.unwrap();
            let (_incoming, mut outgoing) = dialled.split();
            outgoing.send(&hello()).await.unwrap();
            let (paired, _connection) = world.listener.accept().await.unwrap();
            assert_eq!(paired.name, "attic");
        }
    }
}
