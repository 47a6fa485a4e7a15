use slotbus_check::*;
use slotbus_core::*;
use slotbus_world::*;
use std::collections::*;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let model = Configuration::named(&name).unwrap().model(Profile::SLOTBUS, None);
    let max: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut seen = HashSet::new();
    let mut q = VecDeque::new();
    q.push_back(model.origin.clone());
    seen.insert(digest(&model.origin));
    let mut hist: BTreeMap<String, usize> = BTreeMap::new();
    let mut proj: BTreeMap<&str, HashSet<u128>> = BTreeMap::new();
    while let Some(w) = q.pop_front() {
        let kinds: BTreeSet<&str> = w
            .connections()
            .flat_map(|c| c.to_target.iter().chain(c.to_opener.iter()).map(|m| m.body.name()).collect::<Vec<_>>())
            .collect();
        let up = w.nodes().count();
        let key = format!(
            "up{} crash{} restart{} {}",
            up,
            w.budget().crashes,
            w.budget().restarts,
            kinds.into_iter().collect::<Vec<_>>().join(",")
        );
        *hist.entry(key).or_default() += 1;
        proj.entry("nodes").or_default().insert(digest(&w.nodes().map(|(_, n)| n.clone()).collect::<Vec<_>>()));
        proj.entry("ghost").or_default().insert(digest(w.ghost()));
        for p in model.setup.places() {
            proj.entry(["a", "b", "c", "d", "e", "f"][p.index()]).or_default().insert(digest(w.host(p)));
        }
        proj.entry("conns").or_default().insert(digest(
            &w.connections()
                .map(|c| (c.opener, c.target, c.opener_end, c.target_end, c.outbound, c.inbound))
                .collect::<Vec<_>>(),
        ));
        for (_, n) in w.successors(&model.setup) {
            if seen.insert(digest(&n)) {
                q.push_back(n);
            }
        }
        if seen.len() > max {
            break;
        }
    }
    let mut v: Vec<_> = hist.into_iter().collect();
    v.sort_by_key(|x| std::cmp::Reverse(x.1));
    for (k, n) in v.iter().take(40) {
        println!("{n:8} {k}");
    }
    for (k, s) in proj {
        println!("{k}: {}", s.len());
    }
    println!("{}", seen.len());
}
