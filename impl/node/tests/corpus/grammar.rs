//! Owns what requests look like: forms.txt, read into trees of words and of places for arguments.
//!
//! Must not know what is put into a place.

use slotbus_wire::words;
use std::iter::Peekable;

/// A part of a request's form.
#[derive(Debug)]
pub(crate) enum Part {
    /// As it is.
    Word(Vec<u8>),
    /// An argument of this kind.
    Place(String),
    /// One of several, or perhaps none.
    Choice { options: Vec<Vec<Part>>, is_needed: bool },
    /// Once or more.
    Repeated { parts: Vec<Part>, count_max: usize },
}

/// What some requests that belong together look like.
#[derive(Debug)]
pub(crate) struct Form {
    /// What they are about.
    pub(crate) section: String,
    /// Whether they are to be sent as they are.
    pub(crate) is_exact: bool,
    /// The requests.
    pub(crate) requests: Vec<Vec<Part>>,
}

impl Form {
    /// The name of the first command.
    pub(crate) fn name(&self) -> &[u8] {
        match self.requests[0].first() {
            Some(Part::Word(name)) => name,
            part => panic!("a form begins with {part:?}"),
        }
    }
}

/// All forms.
pub(crate) fn forms() -> Vec<Form> {
    let (mut section, mut is_exact_section, mut forms) = (String::new(), false, Vec::new());
    for line in include_str!("forms.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix(':') {
            is_exact_section = name.starts_with('!');
            section = name.trim_start_matches('!').to_owned();
            continue;
        }
        let body = line.trim_start_matches("! ");
        let tokens = words::split(body.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let requests = tokens.split(|token| token == b";").map(|tokens| {
            let mut tokens = tokens.iter().peekable();
            let parts = sequence(&mut tokens);
            assert!(tokens.next().is_none(), "{line}: a bracket is closed that was not opened");
            parts
        });
        let is_exact = is_exact_section || body.len() < line.len();
        forms.push(Form { section: section.clone(), is_exact, requests: requests.collect() });
    }
    forms
}

/// The parts up to the end, or up to the next bar or closing bracket.
fn sequence<'t>(tokens: &mut Peekable<impl Iterator<Item = &'t Vec<u8>>>) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(token) = tokens.next_if(|token| !matches!(token.as_slice(), b"|" | b"]" | b">" | b")" | b"}")) {
        parts.push(match token.as_slice() {
            b"<" => choice(tokens, true),
            b"[" => choice(tokens, false),
            b"(" => repeated(tokens, 4),
            b"{" => repeated(tokens, 40),
            word if !word.is_empty()
                && word.iter().all(|&byte| byte.is_ascii_uppercase() || byte == b'#')
                && word != b"#" =>
            {
                Part::Place(String::from_utf8_lossy(word).into_owned())
            }
            word => Part::Word(word.to_vec()),
        });
    }
    parts
}

fn choice<'t>(tokens: &mut Peekable<impl Iterator<Item = &'t Vec<u8>>>, is_needed: bool) -> Part {
    let mut options = vec![sequence(tokens)];
    while tokens.next_if(|token| token.as_slice() == b"|").is_some() {
        options.push(sequence(tokens));
    }
    tokens.next().expect("a bracket is closed");
    Part::Choice { options, is_needed }
}

fn repeated<'t>(tokens: &mut Peekable<impl Iterator<Item = &'t Vec<u8>>>, count_max: usize) -> Part {
    let parts = sequence(tokens);
    tokens.next().expect("a bracket is closed");
    Part::Repeated { parts, count_max }
}
