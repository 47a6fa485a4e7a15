//! What one heartbeat costs: a PING with its gossip received, and the PONG to it made.
//! `cargo bench -p slotbus-core`.

#![allow(missing_docs, reason = "the macros of criterion make an undocumented function")]

#[path = "../tests/settled/mod.rs"]
mod settled;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use settled::{NOW, heartbeat_of, settled};
use slotbus_core::{Event, Input, LinkId, Random, step};

fn bench(criterion: &mut Criterion) {
    for nodes in [10, 100, 1000] {
        let mut node = settled(nodes);
        let mut word = 0;
        criterion.bench_function(&format!("heartbeat, {nodes} known nodes"), |bencher| {
            bencher.iter_batched(
                || Event::Received { link: LinkId::Inbound(5), message: heartbeat_of(nodes, 5) },
                |event| {
                    word += 1;
                    step(&mut node, Input { now: NOW.after(300), random: Random::new(word), event })
                },
                BatchSize::SmallInput,
            );
        });
        let mut at = NOW.after(300);
        criterion.bench_function(&format!("cron, {nodes} known nodes"), |bencher| {
            bencher.iter(|| {
                at = at.after(100);
                step(&mut node, Input { now: at, random: Random::new(1), event: Event::Tick })
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
