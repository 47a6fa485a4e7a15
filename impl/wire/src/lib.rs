//! Every byte format of the cluster, and no behaviour.

pub mod bus;
pub mod nodes_conf;
pub mod resp;
pub mod trace;
