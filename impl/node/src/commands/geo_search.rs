//! Owns the commands that search for places within a shape, and may store what they find.

use super::{
    geo::{coordinates, distance, length, position, position_of, unit_m},
    options::integer,
    syntax_error,
};
use crate::{
    command::Answer,
    geo_shape::{Form, Shape},
    geohash::{Position, longest_m},
    ordering::{sort_all, sort_first},
    store::{
        Store,
        sorted_set::SortedSet,
        value::{Value, View},
    },
};
use slotbus_wire::resp::{Args, Reply};
use std::{borrow::Cow, cmp::Ordering, ops::ControlFlow};

/// Which of the commands it is: they differ in what they take, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A position and a radius, then options.
    Around { may_store: bool },
    /// A member and a radius, then options.
    AroundMember { may_store: bool },
    /// Options only.
    Search,
    /// A target first.
    SearchAndStore,
}

impl Kind {
    fn source(self) -> usize {
        if self == Self::SearchAndStore { 2 } else { 1 }
    }

    /// Where options begin.
    fn options(self) -> usize {
        match self {
            Self::Around { .. } => 6,
            Self::AroundMember { .. } => 5,
            Self::Search => 2,
            Self::SearchAndStore => 3,
        }
    }

    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchAndStore)
    }

    /// Whether options may name a target.
    fn may_name_target(self) -> bool {
        matches!(self, Self::Around { may_store: true } | Self::AroundMember { may_store: true })
    }

    fn event(self) -> &'static str {
        if self.is_search() { "geosearchstore" } else { "georadiusstore" }
    }
}

/// In which order places are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    NearestFirst,
    FarthestFirst,
}

impl Order {
    /// A distance that is not a number is less than any, and than itself.
    fn compare(self, left: f64, right: f64) -> Ordering {
        let order = left.partial_cmp(&right).unwrap_or(Ordering::Less);
        if self == Self::FarthestFirst { order.reverse() } else { order }
    }
}

/// What a request asks for.
#[derive(Default)]
struct Query<'a> {
    center: Option<Position>,
    /// Whether there is a middle, or would be if there was a sorted set.
    has_center: Option<CenterOption>,
    /// With its unit.
    form: Option<(Form, f64)>,
    order: Option<Order>,
    count: Option<usize>,
    /// Whether any places will do that are found first.
    is_any: bool,
    with_distance: bool,
    with_score: bool,
    with_position: bool,
    target: Option<&'a [u8]>,
    stores_distance: bool,
}

/// The option that has named the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CenterOption {
    Member,
    Position,
}

impl<'a> Query<'a> {
    fn read(args: Args<'a>, kind: Kind, set: Option<&SortedSet>) -> Result<Self, Reply<'static>> {
        let mut query = Self::default();
        match (kind, set) {
            (Kind::Around { .. }, _) => {
                query.center = Some(position(args.at(2), args.at(3))?);
                query.form = Some(circle(args, 4)?);
            }
            (Kind::AroundMember { .. }, Some(set)) => {
                query.center = Some(center_of(set, args.at(2))?);
                query.form = Some(circle(args, 3)?);
            }
            // Without a sorted set, nothing is looked at but the options.
            (Kind::AroundMember { .. }, None) | (Kind::Search, _) => {}
            (Kind::SearchAndStore, _) => query.target = args.get(1),
        }
        let mut at = kind.options();
        while at < args.len() {
            at = match query.read_plain(args, at)? {
                Some(next) => next,
                None if kind.is_search() => query.read_search(args, at, kind, set)?,
                None => query.read_target(args, at, kind)?,
            };
        }
        query.check(args, kind)?;
        Ok(query)
    }

    /// Reads an option that all commands have; says where the next one is. None if it is no such option.
    fn read_plain(&mut self, args: Args<'a>, at: usize) -> Result<Option<usize>, Reply<'static>> {
        match (args.at(at).to_ascii_lowercase().as_slice(), args.get(at + 1)) {
            (b"withdist", _) => self.with_distance = true,
            (b"withhash", _) => self.with_score = true,
            (b"withcoord", _) => self.with_position = true,
            (b"any", _) => self.is_any = true,
            (b"asc", _) => self.order = Some(Order::NearestFirst),
            (b"desc", _) => self.order = Some(Order::FarthestFirst),
            (b"count", Some(count)) => {
                let count = usize::try_from(integer(count)?).ok().filter(|&count| count > 0);
                self.count = Some(count.ok_or_else(|| Reply::err("COUNT must be > 0"))?);
                return Ok(Some(at + 2));
            }
            _ => return Ok(None),
        }
        Ok(Some(at + 1))
    }

    /// Reads an option of GEORADIUS alone.
    fn read_target(&mut self, args: Args<'a>, at: usize, kind: Kind) -> Result<usize, Reply<'static>> {
        let target = args.get(at + 1).filter(|_| kind.may_name_target()).ok_or_else(syntax_error)?;
        self.stores_distance = match args.at(at).to_ascii_lowercase().as_slice() {
            b"store" => false,
            b"storedist" => true,
            _ => return Err(syntax_error()),
        };
        self.target = Some(target);
        Ok(at + 2)
    }

    /// Reads an option of GEOSEARCH alone.
    fn read_search(
        &mut self,
        args: Args<'a>,
        at: usize,
        kind: Kind,
        set: Option<&SortedSet>,
    ) -> Result<usize, Reply<'static>> {
        let has = |count: usize| args.len() - at > count;
        match args.at(at).to_ascii_lowercase().as_slice() {
            b"storedist" if kind == Kind::SearchAndStore => {
                self.stores_distance = true;
                Ok(at + 1)
            }
            b"frommember" if has(1) && self.has_center != Some(CenterOption::Position) => {
                self.center = set.map(|set| center_of(set, args.at(at + 1))).transpose()?;
                self.has_center = Some(CenterOption::Member);
                Ok(at + 2)
            }
            b"fromlonlat" if has(2) && self.has_center != Some(CenterOption::Member) => {
                self.center = Some(position(args.at(at + 1), args.at(at + 2))?);
                self.has_center = Some(CenterOption::Position);
                Ok(at + 3)
            }
            b"byradius" if has(2) && !matches!(self.form, Some((Form::Box { .. }, _))) => {
                self.form = Some(circle(args, at + 1)?);
                Ok(at + 3)
            }
            b"bybox" if has(3) && !matches!(self.form, Some((Form::Circle { .. }, _))) => {
                self.form = Some(rectangle(args, at + 1)?);
                Ok(at + 4)
            }
            _ => Err(syntax_error()),
        }
    }

    fn check(&self, args: Args<'_>, kind: Kind) -> Result<(), Reply<'static>> {
        if self.target.is_some() && (self.with_distance || self.with_score || self.with_position) {
            let what = if kind.is_search() { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(Reply::err(format_args!(
                "{what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let name = String::from_utf8_lossy(args.at(0));
        if kind.is_search() && self.has_center.is_none() {
            return Err(Reply::err(format_args!(
                "exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if kind.is_search() && self.form.is_none() {
            return Err(Reply::err(format_args!("exactly one of BYRADIUS and BYBOX can be specified for {name}")));
        }
        if self.is_any && self.count.is_none() {
            return Err(Reply::err("the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    fn shape(&self) -> Option<Shape> {
        let (form, unit_m) = self.form?;
        Some(Shape { center: self.center?, form, unit_m })
    }

    /// The places that it finds, as many as it asks for, in order.
    fn find<'s>(&self, shape: &Shape, set: &'s SortedSet) -> Vec<Place<'s>> {
        let most = self.count.unwrap_or(usize::MAX);
        let mut found = places_within(shape, set, if self.is_any { most } else { usize::MAX });
        // The first ones are the nearest, unless any will do.
        let is_cut = self.count.is_some() && !self.is_any;
        if let Some(order) = self.order.or(is_cut.then_some(Order::NearestFirst)) {
            let compare = |left: &Place<'_>, right: &Place<'_>| order.compare(left.distance_m, right.distance_m);
            if most < found.len() {
                sort_first(&mut found, most, &compare);
            } else {
                found = sort_all(found, &compare);
            }
        }
        found.truncate(most);
        found
    }

    /// The places that it finds, as they are stored.
    fn members(&self, shape: &Shape, set: &SortedSet) -> Vec<(Vec<u8>, f64)> {
        let score = |place: &Place<'_>| if self.stores_distance { place.length(shape.unit_m) } else { place.score };
        let places = self.find(shape, set).into_iter();
        places.map(|place| (score(&place), place)).map(|(score, place)| (place.member.into_owned(), score)).collect()
    }

    /// A place as it is answered.
    fn show<'e>(&self, place: Place<'e>, unit_m: f64) -> Reply<'e> {
        let details = [
            self.with_distance.then(|| distance(place.distance_m / unit_m)),
            self.with_score.then_some(Reply::Integer(place.score as i64)),
            self.with_position.then(|| coordinates(place.position)),
        ];
        let name = Reply::Bulk(place.member);
        if details.iter().all(Option::is_none) {
            return name;
        }
        Reply::Array(std::iter::once(name).chain(details.into_iter().flatten()).collect())
    }
}

fn center_of(set: &SortedSet, member: &[u8]) -> Result<Position, Reply<'static>> {
    position_of(set, member).ok_or_else(|| Reply::err("could not decode requested zset member"))
}

/// A circle whose radius stands at `at`, and its unit behind.
fn circle(args: Args<'_>, at: usize) -> Result<(Form, f64), Reply<'static>> {
    let radius = length(args.at(at), "radius")?;
    if radius < 0.0 {
        return Err(Reply::err("radius cannot be negative"));
    }
    Ok((Form::Circle { radius }, unit_m(args.at(at + 1))?))
}

/// A box whose width and height stand at `at`, and their unit behind.
fn rectangle(args: Args<'_>, at: usize) -> Result<(Form, f64), Reply<'static>> {
    let (width, height) = (length(args.at(at), "width")?, length(args.at(at + 1), "height")?);
    if width < 0.0 || height < 0.0 {
        return Err(Reply::err("height or width cannot be negative"));
    }
    Ok((Form::Box { width, height }, unit_m(args.at(at + 2))?))
}

/// A place that was found.
struct Place<'s> {
    member: Cow<'s, [u8]>,
    score: f64,
    position: Position,
    distance_m: f64,
}

/// The places of a set within a shape, at most so many, in the order in which they are found.
fn places_within<'s>(shape: &Shape, set: &'s SortedSet, most: usize) -> Vec<Place<'s>> {
    let mut found = Vec::new();
    shape.visit_cells(|cell| {
        let scores = cell.scores();
        let rank = |bound: f64| set.count_while(|score, _| score < bound);
        for (member, score) in set.ranks(rank(scores.start)..rank(scores.end), false) {
            let position = Position::of_score(score);
            if let Some(distance_m) = shape.distance_m(position) {
                found.push(Place { member, score, position, distance_m });
            }
            if found.len() >= most {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    found
}

fn run<'e>(store: &'e mut Store, args: Args<'e>, kind: Kind) -> Answer<'e> {
    let source = args.at(kind.source());
    let set = store.read::<SortedSet>(source)?;
    let query = Query::read(args, kind, set)?;
    let shape = set.and_then(|_| query.shape());
    match (query.target, shape) {
        (None, None) => Ok(Reply::Array(vec![])),
        (None, Some(shape)) => {
            let places = set_at(store, source).map(|set| query.find(&shape, set)).unwrap_or_default();
            Ok(Reply::Array(places.into_iter().map(|place| query.show(place, shape.unit_m)).collect()))
        }
        (Some(target), shape) => {
            let members = shape.zip(set_at(store, source)).map(|(shape, set)| query.members(&shape, set));
            Ok(Reply::count(put(store, target, members.unwrap_or_default(), kind.event())))
        }
    }
}

/// The sorted set at a key that has just been read.
fn set_at<'s>(store: &'s Store, key: &[u8]) -> Option<&'s SortedSet> {
    match store.peek(key)?.view() {
        View::Other(Value::SortedSet(set)) => Some(set),
        View::Other(_) | View::String(..) => None,
    }
}

impl Place<'_> {
    /// Its distance in a unit. As a score it has to be a number: a place opposite the middle is as far away as can be.
    fn length(&self, unit_m: f64) -> f64 {
        if self.distance_m.is_nan() { longest_m() / unit_m } else { self.distance_m / unit_m }
    }
}

/// Stores places; says how many.
fn put(store: &mut Store, target: &[u8], members: Vec<(Vec<u8>, f64)>, event: &'static str) -> usize {
    let set = SortedSet::of_all(members, &store.limits);
    let count = set.len();
    store.store(target, set, event);
    // Each place counts as a change.
    store.news.changes += count.saturating_sub(1) as u64;
    count
}

pub(super) fn georadius<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    run(store, args, Kind::Around { may_store: true })
}

pub(super) fn georadius_ro<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    run(store, args, Kind::Around { may_store: false })
}

pub(super) fn georadiusbymember<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    run(store, args, Kind::AroundMember { may_store: true })
}

pub(super) fn georadiusbymember_ro<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    run(store, args, Kind::AroundMember { may_store: false })
}

pub(super) fn geosearch<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    run(store, args, Kind::Search)
}

pub(super) fn geosearchstore<'e>(store: &'e mut Store, args: Args<'e>) -> Answer<'e> {
    run(store, args, Kind::SearchAndStore)
}
