//! What the larger subcommands are told, and how they go about it. Knows no protocol.

use slotbus_core::Profile;

pub(crate) mod capture;
pub(crate) mod chaos;
pub(crate) mod probe;
pub(crate) mod vectors;

/// The profile of this name.
pub(crate) fn profile_named(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let known: Vec<_> = Profile::NAMED.iter().map(|(name, _)| *name).collect();
        format!("there is no profile '{name}'; known: {}", known.join(", "))
    })
}
