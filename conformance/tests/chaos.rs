//! Six real nodes lose a fifth of all bus packets, among other things, and come to one mind again.

use slotbus_conformance::{
    chaos::{self, Report, schedule::Scenario},
    cluster::{self, Program, Template},
};

/// Loss, a kill, a partition, broken connections and slots on the move, all within fifteen seconds with a rest between.
const SCENARIO: &str = "
    seed 7
    nodes 6
    replicas 1
    loss 20
    node-timeout 1500
    duration 15000
    at 500 for 0 move 1 2 30
    at 1000 for 9000 kill 0
    at 6000 for 0 reset 1 2
    at 11000 for 3000 partition 1 4
    at 10500 for 0 rest
    at 10600 for 0 move 2 1 30
    at 9000 for 2000 delay 2 5 300
    at 11500 for 1500 pause 2
    at 12000 for 2000 copy 3 5
";

fn play(line: &str) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = Scenario::parse(SCENARIO).expect("a scenario");
    let program = Program::Template(Template::parse(line).expect("a command"));
    let report = chaos::play(&scenario, &[program], folder.path()).expect("it is run");
    println!("{line}\n{report}");
    report
}

fn check_network(report: &Report) {
    let (sent, lost) = (report.packets_sent, report.packets_lost);
    assert!(sent > 100 && (sent / 10..sent / 3).contains(&lost), "{lost} of {sent} packets were lost");
    assert_eq!(report.rests, 2);
    assert!(report.moved[0] > 0, "{:?} slots were moved", report.moved);
    assert!(report.acknowledged > 100, "{} writes were acknowledged", report.acknowledged);
}

#[test]
fn slotbus_nodes_come_to_one_mind() {
    let Ok(node) = cluster::sibling("slotbus-node") else {
        panic!("slotbus-node is not built: cargo build --release");
    };
    let report =
        play(&format!("{} --port {{port}} --dir {{dir}} --trace-file {{trace}} --trace-format binary", node.display()));
    assert_eq!(report.failures, []);
    check_network(&report);
    assert!(report.traces >= 7 && report.trace_steps > 1000, "{} steps", report.trace_steps);
}

#[test]
fn redis_servers_come_to_one_mind() {
    assert!(cluster::installed("redis-server").is_some(), "redis-server is not installed: see `cargo suite`");
    let report = play("redis-server --port {port} --dir {dir}");
    assert_eq!(report.failures, []);
    check_network(&report);
}

#[test]
fn what_cannot_be_spawned_is_said() {
    assert!(Template::parse("redis-server --port {port}").is_err_and(|why| why.contains("{dir}")));
    assert!(Template::parse("'").is_err());
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = Scenario::parse("nodes 2\nreplicas 0").expect("a scenario");
    let program = Program::Template(Template::parse("/no/such/program {port} {dir}").expect("a command"));
    let error = chaos::play(&scenario, &[program], folder.path()).expect_err("it is not there");
    assert!(error.contains("/no/such/program"), "{error}");
}
