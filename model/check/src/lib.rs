//! The model checker of Slotbus: small worlds of the very core that the production node runs,
//! explored exhaustively.
//!
//! Nothing here decides anything about the protocol, and nothing else in the workspace knows
//! Stateright. Where to read on: [`configs`] for what is explored and within which bounds,
//! [`explore`](mod@explore) for the search, [`world_model`] for what joins the two.

pub mod actor;
pub mod bench;
pub mod certificate;
pub mod certify;
pub mod chunks;
pub mod claims;
pub mod components;
pub mod configs;
mod configs_failover;
mod configs_findings;
mod configs_identity;
mod configs_large;
mod configs_museum;
mod configs_replicas;
mod configs_rules;
mod configs_slots;
pub mod counterexample;
pub mod exhibits;
pub mod explain;
pub mod explore;
pub mod focus;
pub mod frontier;
pub mod goals;
pub mod graph;
pub mod lasso;
pub mod live;
pub mod liveness;
pub mod museum;
pub mod mutants;
pub mod promela;
pub mod recorded;
pub mod report;
pub mod run;
pub mod script;
pub mod shrink;
pub mod simulate;
mod stages;
pub mod stateright_engine;
pub mod swarm;
pub mod table;
pub mod world_labels;
pub mod world_model;

pub use configs::{CONFIGURATIONS, Configuration, PENDING, SLOTS};
pub use configs_findings::FINDINGS;
pub use configs_rules::UNFIRED;
pub use explore::{Ending, Findings, Judged, Limits, Path, Progress, Verdict, explore, explore_graph, explore_in};
pub use run::{Engine, Plan, Run, run};
pub use stateright_engine::explore_with_stateright;
pub use world_model::WorldModel;
