//! Owns how a counterexample looks to people: as numbered steps, as a sequence diagram, as a page.
//! Knows no model.

mod html;
mod mermaid;
mod text;

pub use html::html;
pub use mermaid::mermaid;
pub use text::text;
