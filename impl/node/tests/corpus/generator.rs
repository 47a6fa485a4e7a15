//! Owns how sequences of requests are made up by chance: few keys and few words, so that they meet, and
//! now and then a request that is bent out of shape.
//!
//! Must not know how replies are compared.

use crate::{
    grammar::{Form, Part, forms},
    support::Request,
};
use fastrand::Rng;

/// Requests that belong together: a shorter sequence has all of them, or none.
pub(crate) type Unit = Vec<Request>;

/// What is sent to both servers.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    /// The protocol that is spoken.
    pub(crate) protocol: u8,
    /// The requests.
    pub(crate) units: Vec<Unit>,
    /// Whether each server gets dumps of the other one at the end.
    pub(crate) has_exchange: bool,
}

/// Makes sequences.
pub(crate) struct Generator {
    rng: Rng,
    forms: Vec<Form>,
    /// What Q stands for.
    held: String,
}

/// Sections whose requests are about data only.
const DATA: [&str; 10] =
    ["strings", "bits", "keys", "hashes", "lists", "sets", "sorted_sets", "hyperloglog", "streams", "geo"];

/// Where numbers end, and what is not quite one.
const ODD_NUMBERS: &[&str] = &[
    "",
    "x",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "4294967296",
    "1.5",
    " 1",
    "1 ",
    "+1",
    "-0",
    "007",
    "1e3",
    "nan",
    "inf",
];

const ODD_FLOATS: &[&str] = &[
    "inf",
    "-inf",
    "+inf",
    "infinity",
    "nan",
    "x",
    "",
    " 1",
    "1 ",
    "1e400",
    "1e-400",
    "-1e308",
    "1.7976931348623157e308",
    "0.1",
    "3.14159",
    "1e17",
    "1e21",
    "123456789012345678",
    "-0",
    ".5",
    "5.",
    "+5",
    "1e",
    "5e-324",
    "1_000",
];

const ODD_TEXTS: &[&str] = &[
    "",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "007",
    "-0",
    "1e3",
    "3.0",
    "inf",
    " 1",
    "a b\r\n",
    "\"q\"",
    "\0\u{1}",
    "é",
    "12345678901234567890123456789012345678901234",
    "123456789012345678901234567890123456789012345",
];

/// Dumps of redis-server of each kind, and what is none.
const DUMPS: &[&[u8]] = &[
    b"\x00\xc0\x0c\x0a\x00\x3c\x2a\xf8\x51\x5c\x04\xbc\xd5",
    b"\x00\xc3\x09\x1e\x01\x78\x78\xe0\x11\x00\x01\x78\x78\x0a\x00\xf0\x67\x3f\xdf\x20\x01\xeb\x95",
    b"\x12\x01\x02\x0f\x0f\x00\x00\x00\x03\x00\x81\x61\x02\x01\x01\x81\x62\x02\xff\x0a\x00\x90\x43\xa3\x4c\xeb\x8e\x1b\x1c",
    b"\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\x01\x00\x02\x00\x03\x00\x0a\x00\xa5\x02\x5c\xe2\x6d\x6e\x4d\x1b",
    b"\x02\x02\x01\x61\x01\x62\x0a\x00\xfe\x64\x21\x25\xeb\x03\x3d\x0d",
    b"\x10\x11\x11\x00\x00\x00\x04\x00\x81\x61\x02\x01\x01\x81\x62\x02\x02\x01\xff\x0a\x00\x3e\x40\x63\x6c\x8f\x5d\x76\x9a",
    b"\x11\x14\x14\x00\x00\x00\x04\x00\x81\x61\x02\x01\x01\x81\x62\x02\x83\x32\x2e\x35\x04\xff\x0a\x00\xd4\x4c\x6e\xa4\xf6\x44\xd9\xd7",
    STREAM,
    b"\x00\xc0\x0c\x0a\x00\x3c\x2a\xf8\x51\x5c\x04\xbc\xd6",
    b"\x00\xc0\x0c\xff\x00\x3c\x2a\xf8\x51\x5c\x04\xbc\xd5",
    b"",
    b"x",
];

/// A stream with one entry.
const STREAM: &[u8] = b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x1d\x00\x00\x00\x0a\x00\
    \x01\x01\x00\x01\x01\x01\x81\x66\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81\x76\x02\x04\x01\xff\x01\x01\x01\x01\x01\x00\x00\
    \x01\x00\x0a\x00\xff\x55\xab\x62\x6a\xc0\x35\xdb";

/// Strings with registers of which not all make sense.
const REGISTERS: &[&[u8]] = &[
    b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff",
    b"HYLL\x01\0\0\0\x07\0\0\0\0\0\0\0\x7f\xff",
    b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xf7\x81\x82\x84\xff",
    b"HYLL\x01abc\0\0\0\0\0\0\0\x80\x7f\xff\x80",
    b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80",
    b"HYLL\x01\0\0\0\x05\0\0\0\0\0\0\0\x40\xff\x80",
    b"HYLL\x00\0\0\0\0\0\0\0\0\0\0\0\x7f\xff",
    b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\x7f\xff",
    b"HYLL",
];

const SCRIPTS: &[&str] = &[
    "return 1",
    "return KEYS",
    "return ARGV",
    "return {1, 2.5, 'x', false, {3, nil, 4}}",
    "return {err = 'SOME error'}",
    "return {ok = 'fine'}",
    "return {double = 1.5}",
    "return redis.error_reply('x')",
    "return redis.status_reply('x')",
    "return redis.call('get', KEYS[1])",
    "return redis.call('set', KEYS[1], ARGV[1])",
    "return redis.pcall('incr', KEYS[1])",
    "return redis.call('incr', KEYS[1])",
    "return redis.call('lrange', KEYS[1], 0, -1)",
    "return redis.call('type', KEYS[1])",
    "redis.setresp(3) return redis.call('hgetall', KEYS[1])",
    "return redis.call('nosuch')",
    "return redis.call()",
    "return redis.call('get')",
    "return redis.sha1hex(ARGV[1])",
    "return tonumber(ARGV[1])",
    "return #KEYS + #ARGV",
    "error('x')",
    "return nosuch",
    "nosuch = 1",
    "return",
    "#!lua\nreturn redis.call('exists', KEYS[1])",
    "#!lua flags=no-writes\nreturn redis.call('set', KEYS[1], 1)",
    "#!lua flags=nosuch\nreturn 1",
    "#!nosuch\nreturn 1",
];

impl Generator {
    pub(crate) fn new() -> Self {
        Self { rng: Rng::with_seed(0), forms: forms(), held: String::new() }
    }

    /// The sequence of a seed.
    pub(crate) fn sequence(&mut self, seed: u64) -> Sequence {
        self.rng = Rng::with_seed(seed);
        let is_about_channels = self.rng.u8(0..20) == 0;
        let mut units = Vec::new();
        for _ in 0..self.rng.usize(0..6) {
            units.push(self.value_to_begin_with());
        }
        for _ in 0..self.rng.usize(1..=12) {
            let unit = self.unit(|form| (form.section == "channels") == is_about_channels);
            units.push(unit);
        }
        if !is_about_channels && self.rng.u8(0..4) == 0 {
            self.make_transaction(&mut units);
        }
        Sequence { protocol: self.rng.u8(2..=3), units, has_exchange: self.rng.u8(0..10) == 0 }
    }

    /// Has a part of the units carried out as a transaction, perhaps with a watched key.
    fn make_transaction(&mut self, units: &mut Vec<Unit>) {
        let end = if self.rng.u8(0..6) == 0 { "discard" } else { "exec" };
        let to = self.rng.usize(..=units.len());
        let from = self.rng.usize(..=to);
        units.insert(to, vec![vec![end.into()]]);
        units.insert(from, vec![vec!["multi".into()]]);
        if self.rng.bool() {
            let key = self.key();
            let at = self.rng.usize(..=from);
            units.insert(at, vec![vec!["watch".into(), key.into()]]);
        }
    }

    /// A value of some kind, small or large, perhaps with an end.
    fn value_to_begin_with(&mut self) -> Unit {
        const FORMS: &[&str] = &[
            "xadd S M V",
            "set K V",
            "set K I",
            "rpush K V",
            "sadd K I",
            "sadd K M",
            "hset K M V",
            "zadd K F M",
            "pfadd K M",
            "geoadd K LON LAT M",
        ];
        let form: Vec<&str> = FORMS[self.rng.usize(..FORMS.len())].split(' ').collect();
        if form[0] == "xadd" {
            return self.stream_to_begin_with();
        }
        let key = self.key();
        if self.rng.u8(0..30) == 0 {
            return vec![vec!["restore".into(), key.into(), "0".into(), STREAM.into()]];
        }
        let mut request: Request = vec![form[0].into(), key.clone().into()];
        let count = if form[0] == "set" { 1 } else { *self.pick(&[1, 3, 7, 8, 9, 40]) };
        for _ in 0..count {
            request.extend(form[2..].iter().map(|place| self.fill(place)));
        }
        let expiry = vec!["expire".into(), key.into(), self.fill("SEC")];
        if self.rng.u8(0..4) == 0 { vec![request, expiry] } else { vec![request] }
    }

    /// A stream of some entries, perhaps with a group.
    fn stream_to_begin_with(&mut self) -> Unit {
        let key = self.fill("S");
        let mut unit = Unit::new();
        for ms in 1..=self.rng.usize(1..12) {
            let mut request: Request = vec!["xadd".into(), key.clone(), ms.to_string().into()];
            let fields = self.rng.usize(1..3);
            request.extend((0..fields).flat_map(|_| ["M", "V"]).map(|place| self.fill(place)));
            unit.push(request);
        }
        if self.rng.bool() {
            unit.push(["xgroup", "create", "K", "g", "0"].map(|word| word.into()).to_vec());
            unit.push(
                ["xreadgroup", "group", "g", "c", "count", "3", "streams", "K", ">"].map(|word| word.into()).to_vec(),
            );
        }
        let fill = |word: Vec<u8>| if word == b"K" { key.clone() } else { word };
        unit.into_iter().map(|request| request.into_iter().map(fill).collect()).collect()
    }

    /// Requests of a form that is fit.
    fn unit(&mut self, is_fit: impl Fn(&Form) -> bool) -> Unit {
        let forms = std::mem::take(&mut self.forms);
        let form = loop {
            let form = &forms[self.rng.usize(..forms.len())];
            if is_fit(form) {
                break form;
            }
        };
        self.held = self.key();
        let mut unit: Unit = form.requests.iter().map(|parts| self.request(parts, &forms)).collect();
        if !form.is_exact && self.rng.u8(0..5) == 0 {
            self.bend(&mut unit[0]);
        }
        self.forms = forms;
        unit
    }

    fn request(&mut self, parts: &[Part], forms: &[Form]) -> Request {
        let mut request = Request::new();
        for part in parts {
            match part {
                Part::Word(word) => request.push(word.clone()),
                Part::Place(place) if place == "REQUEST" => request.extend(self.other_request(forms)),
                Part::Place(place) => request.push(self.fill(place)),
                Part::Choice { options, is_needed } => {
                    if *is_needed || self.rng.u8(0..3) == 0 {
                        let option = self.rng.usize(..options.len());
                        request.extend(self.request(&options[option], forms));
                    }
                }
                Part::Repeated { parts, count_max } => {
                    for _ in 0..self.rng.usize(1..=*count_max) {
                        request.extend(self.request(parts, forms));
                    }
                }
            }
        }
        request
    }

    /// A request about data, to be an argument of another one.
    fn other_request(&mut self, forms: &[Form]) -> Request {
        loop {
            let form = &forms[self.rng.usize(..forms.len())];
            if DATA.contains(&form.section.as_str()) && form.requests.len() == 1 {
                return self.request(&form.requests[0], forms);
            }
        }
    }

    /// Leaves an argument out, repeats, swaps, replaces or adds one.
    fn bend(&mut self, request: &mut Request) {
        let at = self.rng.usize(..request.len());
        match self.rng.u8(0..7) {
            0 if at > 0 => drop(request.remove(at)),
            1 if at > 0 => request.insert(at, request[at].clone()),
            2 if at > 0 => {
                let other = self.rng.usize(1..request.len());
                request.swap(at, other);
            }
            3 if at > 0 => request[at] = self.odd(),
            4 => request.truncate(at + 1),
            5 => request[at] = request[at].to_ascii_uppercase(),
            _ => request.push(self.odd()),
        }
    }

    fn odd(&mut self) -> Vec<u8> {
        const OPTIONS: &[&str] =
            &["nx", "xx", "gt", "get", "ex", "keepttl", "limit", "withscores", "count", "rev", "bylex", "store", "foo"];
        match self.rng.u8(0..4) {
            0 => self.pick(ODD_NUMBERS).as_bytes().to_vec(),
            1 => self.pick(ODD_FLOATS).as_bytes().to_vec(),
            2 => self.pick(OPTIONS).as_bytes().to_vec(),
            _ => self.key().into(),
        }
    }

    fn pick<'w, T>(&mut self, words: &'w [T]) -> &'w T {
        &words[self.rng.usize(..words.len())]
    }

    /// One of few keys of one slot, seldom one of another slot.
    fn key(&mut self) -> String {
        match self.rng.u8(0..100) {
            0 => String::new(),
            1 => "elsewhere".into(),
            2 => "{k}\r\n\0".into(),
            _ => format!("{{k}}{}", self.rng.u8(0..6)),
        }
    }

    fn member(&mut self) -> String {
        match self.rng.u8(0..20) {
            0 => (*self.pick(ODD_TEXTS)).into(),
            1 => "x".repeat(self.rng.usize(60..70)),
            2 => self.rng.i64(-70_000..70_000).to_string(),
            3..12 => format!("m{}", self.rng.u8(0..20)),
            _ => self.rng.i8(-15..15).to_string(),
        }
    }

    /// The id of an entry: one of few, so that they meet.
    fn entry(&mut self) -> String {
        match self.rng.u8(0..16) {
            0 => (*self.pick(ODD_NUMBERS)).into(),
            1 => format!("{}-*", self.rng.u8(0..12)),
            2..9 => self.rng.u8(0..12).to_string(),
            _ => format!("{}-{}", self.rng.u8(0..12), self.rng.u8(0..3)),
        }
    }

    fn score(&mut self) -> String {
        match self.rng.u8(0..12) {
            0 => (*self.pick(ODD_FLOATS)).into(),
            1 => self.rng.f64().to_string(),
            2..4 => format!("{}.5", self.rng.i8(-9..9)),
            _ => self.rng.i8(-9..9).to_string(),
        }
    }

    /// An angle that is no greater than `most`, as a rule.
    fn angle(&mut self, most: f64) -> String {
        match self.rng.u8(0..16) {
            0 => (*self.pick(ODD_FLOATS)).into(),
            1 => (*self.pick(&["0", "-0", "66", "-66.1", "80.1", "85", "90", "180.0000001", "-85.0511288"])).into(),
            2 => most.to_string(),
            3 => (-most).to_string(),
            4..8 => format!("{}", most * (2.0 * self.rng.f64() - 1.0)),
            8..12 => format!("{}", 15.0 + self.rng.f64()),
            _ => self.rng.i8(-9..9).to_string(),
        }
    }

    /// The word for an argument that a form leaves open.
    fn fill(&mut self, place: &str) -> Vec<u8> {
        match place {
            "K" => self.key(),
            "Q" => self.held.clone(),
            "X" => format!("{{k}}x{}", self.rng.u8(0..2)),
            "V" | "M" => self.member(),
            "N" => match self.rng.u8(0..12) {
                0 => (*self.pick(ODD_NUMBERS)).into(),
                _ => self.rng.i8(-6..7).to_string(),
            },
            "I" => match self.rng.u8(0..8) {
                0 => (*self.pick(ODD_NUMBERS)).into(),
                1 => self.rng.i64(..).to_string(),
                _ => self.rng.i16(-300..300).to_string(),
            },
            "F" => self.score(),
            "B" => [*self.pick(&["", "", "("]), &self.score()].concat(),
            "L" => match self.rng.u8(0..8) {
                0 => "-".into(),
                1 => "+".into(),
                2 => self.member(),
                3..5 => format!("({}", self.member()),
                _ => format!("[{}", self.member()),
            },
            "LON" => self.angle(180.0),
            "LAT" => self.angle(85.051_128_78),
            "FAR" => match self.rng.u8(0..10) {
                0 => (*self.pick(ODD_FLOATS)).into(),
                1 => (*self.pick(&["0", "-0", "-1", "20037726.37", "20037726.36", "1e20", "40000"])).into(),
                _ => 10_f64.powf(8.0 * self.rng.f64()).to_string(),
            },
            "UNIT" => (*self.pick(&["m", "m", "km", "km", "KM", "ft", "mi", "Mi", "x", ""])).into(),
            "SIDE" => (*self.pick(&["left", "right", "LEFT", "up"])).into(),
            "BIT" => (*self.pick(&["0", "1", "1", "2"])).into(),
            "OFF" => self.rng.u32(0..80).to_string(),
            "#OFF" => format!("#{}", self.rng.u32(0..9)),
            "T" => (*self.pick(&["u8", "i8", "u1", "i64", "u63", "i5", "u64", "i65", "x", "u0", "i0", "u", ""])).into(),
            "SEC" => self.rng.u32(1000..1_000_000).to_string(),
            "MS" => self.rng.u32(1_000_000..1_000_000_000).to_string(),
            "AT" => (99_999_999_990 + self.rng.u64(0..4)).to_string(),
            "ATMS" => (99_999_999_990_000 + self.rng.u64(0..4)).to_string(),
            "PAST" => (*self.pick(&["1", "0", "-1", "1000", "-9223372036854775808"])).into(),
            "S" => format!("{{k}}s{}", self.rng.u8(0..2)),
            "E" => self.entry(),
            "BEHIND" => format!("({}", self.entry()),
            "G" => (*self.pick(&["g", "g", "h"])).into(),
            "C" => (*self.pick(&["c", "d"])).into(),
            "NEW" => ">".into(),
            "TOMS" => (*self.pick(&["1", "5", "10", "-1", "x", ""])).into(),
            "TO" => (*self.pick(&["0.01", "0.001", "0.02", "-1", "x", "", "nan", "1e400", "0.01"])).into(),
            "P" => (*self.pick(&["*", "m*", "{k}?", "[m-x]*", "[^m]*", "\\*", "", "*1", "{k}[0-2]", "[", "?"])).into(),
            "CH" => (*self.pick(&["a", "b", "*", "[a-c]", ""])).into(),
            "LUA" => (*self.pick(SCRIPTS)).into(),
            "DUMP" => return self.pick(DUMPS).to_vec(),
            "HLL" => return self.pick(REGISTERS).to_vec(),
            other => panic!("{other} stands for nothing"),
        }
        .into_bytes()
    }
}
