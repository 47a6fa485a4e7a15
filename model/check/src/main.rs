//! x
use slotbus_check::*;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let max: usize = std::env::args().nth(2).and_then(|v| v.parse().ok()).unwrap_or(1_000_000);
    let mutant = std::env::args().nth(3).map(|m| slotbus_core::Mutant::by_id(&m).unwrap());
    let model = Configuration::named(&name).unwrap().model(slotbus_core::Profile::SLOTBUS, mutant);
    print!("{}", slotbus_world::tell_world(&model.setup, &model.origin));
    let mut last = 0;
    let f = explore(&model, Limits { states_max: Some(max), ..Limits::default() }, &mut |p| {
        if p.depth != last { last = p.depth; eprintln!("{p:?}"); }
    });
    println!("{name}: {} states {} edges depth {} {:?} {:?}", f.states, f.edges, f.depth_max, f.elapsed, f.ending);
    for j in &f.judged {
        println!("  {} {:?} {:?}", j.name, j.verdict, j.path.as_ref().map(|p| p.steps.len()));
        if j.verdict == Verdict::Violated { if let Some(p) = &j.path { let mut s = &p.start; for (a, n) in &p.steps { println!("{}", slotbus_world::tell(&model.setup, s, *a)); s = n; } print!("{}", slotbus_world::tell_world(&model.setup, s)); } }
    }
}
