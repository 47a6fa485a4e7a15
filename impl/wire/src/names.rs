//! Owns which texts may stand for a host or a name. The bus carries free text in these fields while
//! nodes.conf is a file of words: a text that could break a line there is unusable everywhere.

use slotbus_core::Host;

/// The longest host name that redis-server lets a node announce.
const HOSTNAME_MAX: usize = 255;

/// The host that `text` stands for: unknown if it is none.
pub(crate) fn host(text: &str) -> Option<Host> {
    let is_usable = text.len() <= Host::TEXT_MAX && text.bytes().all(is_host_byte);
    // The error type has no values.
    is_usable.then(|| text.parse().unwrap_or_default())
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'\\,@".contains(&byte)
}

/// Whether a node may announce `text` as its host name: redis-server's own rule for the directive.
pub(crate) fn is_hostname(text: &str) -> bool {
    let is_hostname_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    text.len() <= HOSTNAME_MAX && text.bytes().all(is_hostname_byte)
}

/// Whether `text` may be shown to people as a node's name.
pub(crate) fn is_human_name(text: &str) -> bool {
    text.len() <= HOSTNAME_MAX && !text.chars().any(char::is_control)
}
