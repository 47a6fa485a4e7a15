//! stub
use super::vector::Vector;
use slotbus_core::Profile;
pub(super) fn derive(_vector: &mut Vector, _profile: Profile) -> Result<(), String> { Ok(()) }
