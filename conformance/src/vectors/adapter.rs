//! stub
use super::{pack::Named, replay::Verdict, vector::Level};
pub(super) fn replay(_: &[Named], _: &str, _: Level, _: usize) -> Result<Vec<Verdict>, String> { Err("none".into()) }
