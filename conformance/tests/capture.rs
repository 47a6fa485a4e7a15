//! A capture of a real cluster verifies, and what is altered in it is found.

use slotbus_conformance::{
    capture::{
        Seen, Sight, file,
        laws::{self, Judged},
        live::Recording,
        show,
    },
    cluster::{self, NodeLine, Program, Server, wait_until},
    failover::take_over,
};
use slotbus_core::Rule;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

const BUS_PORT_OFFSET: u16 = 10_000;
const NODE_TIMEOUT_MS: u64 = 1500;
const PATIENCE: Duration = Duration::from_secs(40);

/// Records a cluster of six redis-servers through its creation, a failover by death, one by hand, and a move
/// of slots. The packets of an interface are shown to root only, or to who has CAP_NET_RAW.
fn recorded(folder: &Path) -> PathBuf {
    let redis = Program::Redis(cluster::installed("redis-server").expect("redis-server is installed by `cargo suite`"));
    let mut servers: Vec<Server> =
        (0..6).map(|_| Server::prepare(&redis, folder, NODE_TIMEOUT_MS, &[]).expect("a free port")).collect();
    let bus_ports = || servers.iter().map(|server| server.port() + BUS_PORT_OFFSET);
    let ports = bus_ports().min().expect("six")..=bus_ports().max().expect("six");
    let path = folder.join("bus.pcap");
    let recording = Recording::begin(ports, &path).expect("the right to record packets: root, or CAP_NET_RAW");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let recording = scope.spawn(|| recording.run(&is_over));
        {
            let _ending = Ending(&is_over);
            live(&mut servers);
        }
        assert!(recording.join().expect("it does not panic").expect("it is written") > 0);
    });
    path
}

/// Ends the recording, also where something fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn live(servers: &mut [Server]) {
    servers.iter_mut().for_each(|server| server.restart().expect("it starts"));
    cluster::create(servers, 1).expect("a cluster");
    settle(servers);
    let killed = servers[0].id().expect("an id");
    servers[0].kill();
    let is_owner = |line: &NodeLine| line.id != killed && line.is("master") && !line.slots.is_empty();
    let count_owners =
        |server: &Server| server.nodes().unwrap_or_default().iter().filter(|line| is_owner(line)).count();
    wait_until(PATIENCE, || count_owners(&servers[1]) == 3).expect("a replica takes over");
    servers[0].restart().expect("it starts again");
    settle(servers);
    take_over(&servers[0], || servers[0].is_primary()).expect("it takes over by hand");
    settle(servers);
    cluster::reshard(&servers[0], &servers[1], 20).expect("slots move");
    settle(servers);
    // A few heartbeats show that all is well.
    thread::sleep(Duration::from_secs(3));
}

fn settle(servers: &[Server]) {
    let is_settled = |server: &Server| {
        let lines = server.nodes().unwrap_or_default();
        let is_fine = lines.iter().all(|line| line.connected && !line.is("fail") && !line.is("fail?"));
        let is_up = server.cluster_info("cluster_state").is_ok_and(|state| state == "ok");
        is_fine && server.is_linked() && is_up && lines.len() == servers.len()
    };
    let view = |server: &Server| {
        let lines = server.nodes().unwrap_or_default().into_iter();
        lines.map(|line| (line.id, line.primary, line.epoch, line.slots)).collect::<BTreeSet<_>>()
    };
    let is_one_view = || servers.windows(2).all(|pair| view(&pair[0]) == view(&pair[1]));
    wait_until(PATIENCE, || servers.iter().all(is_settled) && is_one_view()).expect("the cluster is well");
}

/// The fields of a packet and where they stand, for alterations.
const HEADER_FIELDS: [(&str, usize, usize); 9] = [
    ("current epoch", 16, 24),
    ("config epoch", 24, 32),
    ("sender", 40, 80),
    ("slots", 80, 2128),
    ("port", 10, 12),
    ("bus port", 2248, 2250),
    ("flags", 2250, 2252),
    ("state", 2252, 2253),
    ("kind", 12, 14),
];
const GOSSIP_FIELDS: [(&str, usize, usize); 4] =
    [("gossip: node", 0, 40), ("gossip: address", 48, 54), ("gossip: ports", 94, 98), ("gossip: flags", 98, 100)];
const HEADER: usize = 2256;

/// Flips one bit of one field of one packet, if the packet has that field.
fn alter(sights: &mut [Sight], at: usize, (start, end): (usize, usize), dice: &mut fastrand::Rng) -> bool {
    let Sight::Packet(Seen { bytes, .. }) = &mut sights[at] else { return false };
    let Some(field) = bytes.get_mut(start..end) else { return false };
    let index = dice.usize(..field.len());
    field[index] ^= 1 << dice.u8(..8);
    true
}

/// How many of so many alterations of a field are found.
fn found_of(sights: &[Sight], field: (usize, usize), count: usize, dice: &mut fastrand::Rng) -> usize {
    let mut found = 0;
    let mut left = count;
    while left > 0 {
        let mut altered = sights.to_vec();
        let at = dice.usize(..altered.len());
        if alter(&mut altered, at, field, dice) {
            left -= 1;
            found += usize::from(!laws::judge(&altered).differences.is_empty());
        }
    }
    found
}

fn packets(sights: &[Sight]) -> impl Iterator<Item = &Seen> {
    sights.iter().filter_map(|sight| if let Sight::Packet(seen) = sight { Some(seen) } else { None })
}

#[test]
fn a_capture_of_a_real_cluster_verifies_and_alterations_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = recorded(folder.path());
    if let Ok(kept) = env::var("KEEP_CAPTURE") {
        fs::copy(&path, kept).expect("a copy");
    }
    let sights = file::read(&path).expect("it is read");
    let judged = laws::judge(&sights);
    assert_eq!(judged.differences, [], "{:#?}", judged.differences);
    assert_eq!((judged.nodes, judged.gaps), (6, 0));
    for kind in ["ping", "pong", "meet", "fail", "auth-req", "auth-ack", "mfstart"] {
        assert!(judged.kinds.contains_key(kind), "{kind} is captured: {:?}", judged.kinds);
    }
    assert!(packets(&sights).all(|seen| show::line(seen).contains(" flags=0x1")), "every packet can be shown");
    let mut dice = fastrand::Rng::with_seed(1);
    let mut shares = BTreeMap::new();
    for (name, start, end) in HEADER_FIELDS {
        shares.insert(name, found_of(&sights, (start, end), 20, &mut dice));
    }
    for (name, start, end) in GOSSIP_FIELDS {
        shares.insert(name, found_of(&sights, (HEADER + start, HEADER + end), 20, &mut dice));
    }
    println!("of 20 alterations each are found: {shares:?}");
    // About one alteration in twenty stands where no later packet tells against it; most others are found.
    for (name, found) in &shares {
        let least = match *name {
            "state" => 5,
            "gossip: flags" => 12,
            _ => 15,
        };
        assert!(*found >= least, "{name}: {found} of 20 alterations are found");
    }
    the_altered_packet_is_named(&path, &judged);
}

/// One bit of the slots of one packet is changed in the file itself.
fn the_altered_packet_is_named(path: &Path, judged: &Judged) {
    let mut bytes = fs::read(path).expect("a capture");
    let starts: Vec<_> = bytes.windows(4).enumerate().filter(|(_, four)| four == b"RCmb").map(|(at, _)| at).collect();
    assert!(starts.len() as u64 >= judged.packets);
    let middle = starts.len() / 2;
    bytes[starts[middle] + 80 + 100] ^= 4;
    let altered = path.with_file_name("altered.pcap");
    fs::write(&altered, bytes).expect("a capture");
    let conform = cluster::sibling("slotbus-conform").expect("it is built");
    let mut command = Command::new(conform);
    command.arg("verify").arg(&altered);
    let cluster::Finished { code, output: text } = cluster::run(command, PATIENCE).expect("it runs");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(Rule::SlotTaken.id()), "{text}");
}

#[test]
fn what_is_no_capture_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("not.pcap");
    for bytes in
        [&b"\xd4\xc3\xb2\xa1"[..], &b"\x0a\x0d\x0d\x0a\x01\x02"[..], &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 9, 9]]
    {
        fs::write(&path, bytes).expect("a file");
        assert!(file::is_capture(&path).expect("it is there"));
        assert!(file::read(&path).is_err(), "{bytes:?}");
    }
}
