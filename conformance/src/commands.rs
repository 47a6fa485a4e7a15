//! What the larger subcommands are told, and how they go about it. Knows no protocol.

pub(crate) mod capture;
pub(crate) mod chaos;
