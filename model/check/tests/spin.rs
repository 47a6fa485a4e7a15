//! The `spin` checker answers the same questions on the same graphs. `cargo suite` installs it.

mod toy;

use slotbus_check::{
    graph::Fairness,
    liveness::{Question, ask},
    promela::promela,
};
use std::{path::Path, process::Command};
use toy::{Dice, GOAL, TRIGGER, Toy};

/// Whether spin finds that the claim of a model holds.
fn spin(text: &str, folder: &Path) -> bool {
    std::fs::write(folder.join("model.pml"), text).expect("a model");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new("timeout").args(["60", program]).args(arguments).current_dir(folder).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `cargo suite` installs it"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program}: {said}\n{text}");
        said
    };
    run("spin", &["-a", "model.pml"]);
    run("cc", &["-O0", "-w", "-o", "pan", "pan.c"]);
    let said = run(&folder.join("pan").display().to_string(), &["-a", "-m100000"]);
    assert!(said.contains("errors: ") && !said.contains("max search depth too small"), "{said}");
    said.contains("errors: 0")
}

/// Both answers, ours first.
fn answers(toy: &Toy, fairness: Fairness, folder: &Path) -> (bool, bool) {
    let (graph, letters) = toy.graph(fairness);
    let question = Question::LeadsTo { trigger: TRIGGER, goal: GOAL };
    let own = ask(&graph, letters.all(), question).expect("a whole graph").holds();
    (own, spin(&promela(&graph, letters.all(), TRIGGER, GOAL), folder))
}

#[test]
fn spin_agrees_on_graphs_that_only_fairness_decides() {
    let folder = tempfile::tempdir().expect("a folder");
    let agree = |edges: &str, goal: u32, fairness, expected: bool| {
        let toy = Toy::new(edges, &[0], &[goal]);
        assert_eq!(answers(&toy, fairness, folder.path()), (expected, expected), "{edges} {fairness:?}");
    };
    agree("0a1", 1, Fairness::Unfair, false);
    agree("0a1", 1, Fairness::Weak, true);
    agree("0a1 1a0 1b2", 2, Fairness::Weak, false);
    agree("0a1 1a0 1b2", 2, Fairness::Strong, true);
    agree("0A1 1B0 1b2", 2, Fairness::Strong, false);
    agree("0a1 1a0 1a2 2a1 0b3 2b3", 3, Fairness::Strong, true);
}

#[test]
fn spin_agrees_on_random_graphs() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut dice = Dice(23);
    let mut found = [0, 0];
    while found.iter().sum::<u32>() < 12 {
        let states = 4 + dice.below(4);
        let edges = states + dice.below(8);
        let toy = dice.toy(states, edges);
        // Half of the graphs are such that the answer is yes, which is seldom so by chance.
        let expected = found[0] > found[1];
        let fairness = Fairness::Weak;
        let (graph, letters) = toy.graph(fairness);
        let question = Question::LeadsTo { trigger: TRIGGER, goal: GOAL };
        let answer = ask(&graph, letters.all(), question).expect("a whole graph").holds();
        if graph.state_count() >= 4 && answer == expected {
            assert_eq!(answers(&toy, fairness, folder.path()), (answer, answer), "{toy:?} {fairness:?}");
            found[usize::from(answer)] += 1;
        }
    }
}
