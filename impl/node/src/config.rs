//! Owns the node's configuration: the directives, the values that are set, and how they are read.
//!
//! Must not act on any value: whoever acts asks [`Settings`].

pub mod directive;
mod load;
pub mod rewrite;
mod settings;
mod value;

pub use directive::Directive;
pub use load::{BadConfig, Loaded, Sources};
pub use settings::{BUS_PORT_DISTANCE, Settings};
pub use value::Kind;
