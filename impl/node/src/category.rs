//! Owns the categories of commands, by which users are allowed them and COMMAND shows them.
//!
//! Must not know any single command.

use crate::command::{Command, Groups, Traits};

/// What puts a command into a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    /// With this trait, but no script: what that does is not known.
    WithUnscripted(Traits),
    With(Traits),
    Without(Traits),
    Of(Groups),
    /// For administrators.
    Admin,
    /// For administrators, or able to do harm.
    Dangerous,
}

/// One category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its name, without the sign.
    pub name: &'static str,
    members: Member,
}

const fn category(name: &'static str, members: Member) -> Category {
    Category { name, members }
}

/// Every category, in the order of redis-server.
pub static CATEGORIES: [Category; 21] = [
    category("keyspace", Member::Of(Groups::KEYSPACE)),
    category("read", Member::WithUnscripted(Traits::READONLY)),
    category("write", Member::With(Traits::WRITE)),
    category("set", Member::Of(Groups::SET)),
    category("sortedset", Member::Of(Groups::SORTED_SET)),
    category("list", Member::Of(Groups::LIST)),
    category("hash", Member::Of(Groups::HASH)),
    category("string", Member::Of(Groups::STRING)),
    category("bitmap", Member::Of(Groups::BITMAP)),
    category("hyperloglog", Member::Of(Groups::HYPERLOGLOG)),
    category("geo", Member::Of(Groups::GEO)),
    category("stream", Member::Of(Groups::STREAM)),
    category("pubsub", Member::With(Traits::PUBSUB)),
    category("admin", Member::Admin),
    category("fast", Member::With(Traits::FAST)),
    category("slow", Member::Without(Traits::FAST)),
    category("blocking", Member::With(Traits::BLOCKING)),
    category("dangerous", Member::Dangerous),
    category("connection", Member::Of(Groups::CONNECTION)),
    category("transaction", Member::Of(Groups::TRANSACTION)),
    category("scripting", Member::Of(Groups::SCRIPTING)),
];

impl Category {
    /// The category of this name, in any case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        CATEGORIES.iter().find(|category| category.name.as_bytes().eq_ignore_ascii_case(name)).copied()
    }

    /// Whether a command belongs to it.
    #[must_use]
    pub fn includes(self, command: &Command) -> bool {
        let (traits, groups) = (command.traits, command.groups);
        let is_admin = traits.contains(Traits::ADMIN) || groups.contains(Groups::ADMIN);
        match self.members {
            Member::WithUnscripted(wanted) => traits.contains(wanted) && !groups.contains(Groups::SCRIPTING),
            Member::With(wanted) => traits.contains(wanted),
            Member::Without(unwanted) => !traits.contains(unwanted),
            Member::Of(wanted) => groups.contains(wanted),
            Member::Admin => is_admin,
            Member::Dangerous => is_admin || groups.contains(Groups::DANGEROUS),
        }
    }
}
