//! Owns who may use this node: every user with its passwords and with what it may do, and who was
//! turned away.
//!
//! Must not know which connection is whose, nor what any command does.

mod access;
mod refusals;

pub use access::{Access, BadRule, Denial};
pub use refusals::{Context, Refusal, Refusals};

use crate::command::Command;
use sha2::{Digest, Sha256};
use slotbus_wire::{resp::Args, words};
use std::{collections::BTreeMap, fmt::Write, rc::Rc};

/// The user that every connection is at first.
pub const DEFAULT: &str = "default";

/// A SHA-256 of a password, in hexadecimal digits.
type Hash = String;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Whether it can log in.
    pub is_on: bool,
    /// Whether any password will do.
    pub is_open: bool,
    /// Whether what it RESTOREs is looked at closely. This node does so anyway.
    pub is_sanitized: Option<bool>,
    passwords: Vec<Hash>,
    access: Access,
    selectors: Vec<Access>,
}

impl User {
    /// A user that may do nothing yet.
    #[must_use]
    pub fn new(name: &str, hears_all: bool) -> Self {
        Self {
            name: name.to_owned(),
            is_on: false,
            is_open: false,
            is_sanitized: None,
            passwords: Vec::new(),
            access: Access::none(hears_all),
            selectors: Vec::new(),
        }
    }

    /// The user that every connection is at first, and that may do everything.
    fn first() -> Self {
        Self { is_on: true, is_open: true, access: Access::full(), ..Self::new(DEFAULT, true) }
    }

    /// Whether this password will do.
    #[must_use]
    pub fn knows(&self, password: &[u8]) -> bool {
        let given = hash(password);
        self.is_open || self.passwords.iter().any(|known| is_same(known.as_bytes(), given.as_bytes()))
    }

    /// Takes one rule. `hears_all` is what a user gets that is reset.
    pub fn change(&mut self, rule: &[u8], hears_all: bool) -> Result<(), BadRule> {
        match rule.to_ascii_lowercase().as_slice() {
            b"on" => self.is_on = true,
            b"off" => self.is_on = false,
            b"nopass" => (self.is_open, self.passwords) = (true, Vec::new()),
            b"resetpass" => (self.is_open, self.passwords) = (false, Vec::new()),
            b"sanitize-payload" => self.is_sanitized = Some(true),
            b"skip-sanitize-payload" => self.is_sanitized = Some(false),
            b"clearselectors" => self.selectors.clear(),
            b"reset" => *self = Self { is_sanitized: Some(true), ..Self::new(&self.name, hears_all) },
            [b'>', ..] => self.add_password(hash(&rule[1..])),
            [b'#', ..] => self.add_password(read_hash(&rule[1..])?),
            [b'<', ..] => self.remove_password(&hash(&rule[1..]))?,
            [b'!', ..] => self.remove_password(&read_hash(&rule[1..])?)?,
            [b'(', .., b')'] => {
                let mut access = Access::none(hears_all);
                let rules = rule[1..rule.len() - 1].split(|&byte| byte == b' ').filter(|rule| !rule.is_empty());
                for rule in rules {
                    access.change(rule)?;
                }
                self.selectors.push(access);
            }
            _ => self.access.change(rule)?,
        }
        Ok(())
    }

    fn add_password(&mut self, hash: Hash) {
        self.is_open = false;
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
    }

    fn remove_password(&mut self, hash: &str) -> Result<(), BadRule> {
        let at = self.passwords.iter().position(|known| known == hash).ok_or(BadRule::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Whether a request may be made by what the user itself, or one of its selectors, is allowed.
    pub fn check(&self, command: &'static Command, args: Args<'_>) -> Result<(), Denial> {
        if self.access.is_full() {
            return Ok(());
        }
        let mut last = Denial::Command;
        for access in std::iter::once(&self.access).chain(&self.selectors) {
            match access.check(command, args) {
                Ok(()) => return Ok(()),
                Err(denial) => last = last.max(denial),
            }
        }
        Err(last)
    }

    /// Whether the user may go on listening to a channel, or to channels of this pattern.
    #[must_use]
    pub fn may_hear(&self, channel: &[u8], is_pattern: bool) -> bool {
        std::iter::once(&self.access).chain(&self.selectors).any(|access| access.may_hear(channel, is_pattern))
    }

    /// The words for what it is: `on`, `nopass` ...
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let sanitized = self.is_sanitized.map(|is| if is { "sanitize-payload" } else { "skip-sanitize-payload" });
        let state = if self.is_on { "on" } else { "off" };
        std::iter::once(state).chain(self.is_open.then_some("nopass")).chain(sanitized)
    }

    /// The hashes of its passwords.
    #[must_use]
    pub fn passwords(&self) -> &[Hash] {
        &self.passwords
    }

    /// What it may do itself, and by each of its selectors.
    #[must_use]
    pub fn access(&self) -> (&Access, &[Access]) {
        (&self.access, &self.selectors)
    }

    /// The line of a file that makes it what it is.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = format!("user {}", self.name).into_bytes();
        let mut put = |word: &[u8]| {
            line.push(b' ');
            line.extend_from_slice(word);
        };
        self.flags().for_each(|flag| put(flag.as_bytes()));
        self.passwords.iter().for_each(|hash| put(&[b"#", hash.as_bytes()].concat()));
        put(&self.access.describe());
        self.selectors.iter().for_each(|access| put(&[b"(", access.describe().as_slice(), b")"].concat()));
        line
    }
}

/// Every user.
#[derive(Debug)]
pub struct Users {
    by_name: BTreeMap<String, Rc<User>>,
    /// Whether new users may use all channels.
    pub hears_all: bool,
}

impl Default for Users {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Users {
    /// The default user. `hears_all` says whether new users may use all channels.
    #[must_use]
    pub fn new(hears_all: bool) -> Self {
        Self { by_name: BTreeMap::from([(DEFAULT.to_owned(), Rc::new(User::first()))]), hears_all }
    }

    /// Every user, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<User>> {
        self.by_name.values()
    }

    /// The user of this name.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<&Rc<User>> {
        self.by_name.get(std::str::from_utf8(name).ok()?)
    }

    /// The user that a new connection is, if it need not say who it is.
    #[must_use]
    pub fn unasked(&self) -> Option<Rc<User>> {
        self.named(DEFAULT.as_bytes()).filter(|user| user.is_on && user.is_open).cloned()
    }

    /// Who logs in with this name and password.
    #[must_use]
    pub fn log_in(&self, name: &[u8], password: &[u8]) -> Option<Rc<User>> {
        self.named(name).filter(|user| user.is_on && user.knows(password)).cloned()
    }

    /// Gives the default user the one password, or none.
    pub fn set_password(&mut self, password: &str) {
        let Some(user) = self.by_name.get_mut(DEFAULT) else { return };
        let user = Rc::make_mut(user);
        (user.is_open, user.passwords) = (password.is_empty(), Vec::new());
        if !password.is_empty() {
            user.add_password(hash(password.as_bytes()));
        }
    }

    /// The user of this name as it is once it has taken all rules; none of them is taken if one cannot be.
    pub fn changed<'r>(&self, name: &str, rules: &'r [Vec<u8>]) -> Result<User, (&'r [u8], BadRule)> {
        let known = self.by_name.get(name).map(|user| (**user).clone());
        let mut user = known.unwrap_or_else(|| User::new(name, self.hears_all));
        for rule in rules {
            user.change(rule, self.hears_all).map_err(|why| (rule.as_slice(), why))?;
        }
        Ok(user)
    }

    /// Puts a user in the place of the former one of its name.
    pub fn put(&mut self, user: User) -> Rc<User> {
        let user = Rc::new(user);
        self.by_name.insert(user.name.clone(), Rc::clone(&user));
        user
    }

    /// Forgets a user; false if there is none. The default user stays.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let name = std::str::from_utf8(name).unwrap_or_default();
        name != DEFAULT && self.by_name.remove(name).is_some()
    }

    /// These users, and those that lines of a file make; or what is wrong with which line.
    pub fn with_lines(mut self, text: &[u8], file: &str) -> Result<Self, String> {
        let mut seen = Vec::new();
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let bad = |what: &dyn std::fmt::Display| format!("{file}:{number}: {what}. ");
            let words = words::split(line).map_err(|_| bad(&"unbalanced quotes in acl line"))?;
            let [keyword, name, rules @ ..] = words.as_slice() else {
                return Err(bad(&"line should start with user keyword"));
            };
            let name = name_of(name).ok_or_else(|| bad(&"username contains invalid characters"))?;
            if !keyword.eq_ignore_ascii_case(b"user") {
                return Err(bad(&"line should start with user keyword"));
            }
            if seen.contains(&name) {
                let shown = format_args!("WARNING: user '{name}' was already defined").to_string();
                return Err(bad(&shown));
            }
            let rules = merge_selectors(rules.iter().map(Vec::as_slice))
                .map_err(|rule| bad(&format_args!("Unmatched parenthesis in selector '{}'", shown(rule))))?;
            // A line says all about its user: nothing of the first user is left in it.
            self.by_name.remove(&name);
            let user = self.changed(&name, &rules);
            let user =
                user.map_err(|(rule, why)| bad(&format_args!("Error in applying operation '{}': {why}", shown(rule))))?;
            self.put(user);
            seen.push(name);
        }
        Ok(self)
    }

    /// The lines of a file that makes these users.
    #[must_use]
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.iter().map(|user| user.line()).collect()
    }
}

/// A name that a user can have.
#[must_use]
pub fn name_of(bytes: &[u8]) -> Option<String> {
    let is_fit = !bytes.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0);
    String::from_utf8(bytes.to_vec()).ok().filter(|_| is_fit)
}

/// Rules, with those in brackets as one each; an error names the bracket that does not close.
pub fn merge_selectors<'r>(rules: impl Iterator<Item = &'r [u8]>) -> Result<Vec<Vec<u8>>, &'r [u8]> {
    let mut merged = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for rule in rules {
        let (first, whole) = match open.take() {
            None if !rule.starts_with(b"(") => {
                merged.push(rule.to_vec());
                continue;
            }
            None => (rule, rule.to_vec()),
            Some((first, begun)) => (first, [begun.as_slice(), b" ", rule].concat()),
        };
        if rule.ends_with(b")") {
            merged.push(whole);
        } else {
            open = Some((first, whole));
        }
    }
    open.map_or(Ok(merged), |(first, _)| Err(first))
}

fn shown(rule: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(rule)
}

fn hash(password: &[u8]) -> Hash {
    let mut digits = String::new();
    for byte in Sha256::digest(password) {
        // Writing to a String does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

fn read_hash(digits: &[u8]) -> Result<Hash, BadRule> {
    let is_hash = digits.len() == 64 && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let hash = String::from_utf8(digits.to_vec()).ok().filter(|_| is_hash);
    hash.ok_or(BadRule::BadHash)
}

/// Compares without telling by its duration where the first difference is.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |sum, (left, right)| sum | (left ^ right));
    left.len() == right.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::{Access, BadRule, User, Users, merge_selectors};

    fn user(rules: &str) -> Result<User, BadRule> {
        let rules = merge_selectors(rules.split(' ').map(str::as_bytes)).expect("brackets close");
        Users::default().changed("a", &rules).map_err(|(_, why)| why)
    }

    #[test]
    fn a_user_is_described_as_it_is_made() {
        for rules in [
            "off resetchannels -@all",
            "on nopass ~* &* +@all",
            "off ~k* %R~r* %W~w resetchannels &c* -@all +get +@read -config|get +select|0",
            "off resetchannels -@all (~x &* +@all -set)",
        ] {
            let user = user(rules).unwrap();
            assert_eq!(String::from_utf8(user.line()).unwrap(), format!("user a {rules}"));
        }
    }

    #[test]
    fn later_rules_win_and_repeat_nothing() {
        assert_eq!(user("+get -get +get").unwrap().access().0.commands(), "-@all +get");
        assert_eq!(user("+@all -@admin +@all").unwrap().access().0, &{
            let mut access = Access::none(false);
            access.change(b"+@all").unwrap();
            access
        });
        assert_eq!(user("~a %R~a").unwrap().access().0.keys(), b"~a");
    }

    #[test]
    fn passwords_are_kept_as_hashes_only() {
        let mut user = user("on >one >two").unwrap();
        assert!(user.knows(b"one") && user.knows(b"two") && !user.knows(b"three"));
        assert_eq!(user.change(b"<three", false), Err(BadRule::NoSuchPassword));
        user.change(b"<one", false).unwrap();
        assert!(!user.knows(b"one") && !String::from_utf8(user.line()).unwrap().contains("two"));
    }

    #[test]
    fn a_file_makes_what_it_was_written_from() {
        let text = b"# users\nuser default on >pw ~* &* +@all\n\nuser b off -@all (+get ~x)\n";
        let users = Users::default().with_lines(text, "f").unwrap();
        assert!(users.unasked().is_none() && users.log_in(b"default", b"pw").is_some());
        let again = Users::default().with_lines(&users.lines().join(&b'\n'), "f").unwrap();
        assert_eq!(again.lines(), users.lines());
        for (line, complaint) in
            [("user", "keyword"), ("user a +foo", "Unknown command"), ("user a (+get", "Unmatched")]
        {
            let error = Users::default().with_lines(line.as_bytes(), "f").unwrap_err();
            assert!(error.starts_with("f:1: ") && error.contains(complaint), "{error}");
        }
    }
}
