//! Owns network addresses as the protocol carries them. Knows no socket and resolves no name.

use alloc::{boxed::Box, string::String};
use core::{convert::Infallible, fmt, net::IpAddr, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a node can be reached, as text: usually an IP address.
///
/// An address whose text is not the canonical form of an IP address is kept as it is, because
/// peers compare these texts byte by byte.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// Empty on the wire: "use the address that my connection comes from".
    #[default]
    Unknown,
    /// An IP address in canonical form.
    Ip(IpAddr),
    /// Any other text of at most [`Host::TEXT_MAX`] bytes.
    Name(Box<str>),
}

impl Host {
    /// The wire field holds 46 bytes with a closing NUL.
    pub const TEXT_MAX: usize = 45;

    /// Whether no address is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }

    /// This host, or `other` if this one is unknown.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        if self.is_unknown() { other.clone() } else { self.clone() }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl FromStr for Host {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text.is_empty() {
            return Ok(Self::Unknown);
        }
        match text.parse::<IpAddr>() {
            // Of an IPv4 address only the canonical form can be parsed.
            Ok(ip) if ip.is_ipv4() || alloc::string::ToString::to_string(&ip) == text => Ok(Self::Ip(ip)),
            Ok(_) | Err(_) => Ok(Self::Name(text.into())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            Compact::from(self).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Compact::deserialize(deserializer).map(Self::from);
        }
        let Ok(host) = String::deserialize(deserializer)?.parse();
        Ok(host)
    }
}

/// A host where nobody reads along.
#[derive(Serialize, Deserialize)]
enum Compact {
    Unknown,
    V4([u8; 4]),
    V6([u8; 16]),
    Name(String),
}

impl From<&Host> for Compact {
    fn from(host: &Host) -> Self {
        match host {
            Host::Unknown => Self::Unknown,
            Host::Ip(IpAddr::V4(ip)) => Self::V4(ip.octets()),
            Host::Ip(IpAddr::V6(ip)) => Self::V6(ip.octets()),
            Host::Name(name) => Self::Name(name.as_ref().into()),
        }
    }
}

impl From<Compact> for Host {
    fn from(compact: Compact) -> Self {
        match compact {
            Compact::Unknown => Self::Unknown,
            Compact::V4(octets) => Self::Ip(octets.into()),
            Compact::V6(octets) => Self::Ip(octets.into()),
            Compact::Name(name) => {
                let Ok(host) = name.parse();
                host
            }
        }
    }
}

/// A node's host and its ports. A port of 0 is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Where the node listens.
    pub host: Host,
    /// Port for clients; the TLS one in a cluster whose bus uses TLS.
    pub port: u16,
    /// Port of the cluster bus.
    pub cport: u16,
    /// Port for plain clients when `port` is the TLS one.
    pub pport: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}@{}", self.host, self.port, self.cport)
    }
}
