//! Owns how a value is read, in every form that redis-server 7.0 reads, and those that later versions added.
//!
//! Must not reserve memory because a length asks for it.

use super::{Fault, Stream, field_ends, kind, old, primitive::Input, stream};
use crate::{
    intset::IntSet,
    listpack::{BYTES_MAX, Item, Listpack},
    number::parse_f64,
};

type Text = Vec<u8>;

/// More things than this are made room for only as they come.
const PREPARED_MAX: usize = 1024;

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    String(Text),
    /// A list, in pieces.
    List(Vec<Listpack>),
    /// A small set of numbers.
    IntSet(IntSet),
    /// A set; its members may repeat if the bytes lie.
    Set(Vec<Text>),
    /// A small hash: fields and values in turn; fields may repeat if the bytes lie.
    PackedHash(Listpack),
    /// A hash; its fields may repeat if the bytes lie.
    Hash(Vec<(Text, Text)>),
    /// A small sorted set: members and scores in turn, the smallest score first.
    PackedSortedSet(Listpack),
    /// A sorted set; its members may repeat if the bytes lie.
    SortedSet(Vec<(Text, f64)>),
    /// A stream.
    Stream(Box<Stream>),
    /// A value of a kind without commands here: its kind, and its bytes.
    Foreign(u8, Vec<u8>),
}

impl Value {
    pub(super) fn read(kind: u8, input: &mut Input<'_>) -> Result<Self, Fault> {
        match kind {
            kind::STRING => Ok(Self::String(text(input)?)),
            kind::LIST => several(input, text).map(|texts| Self::List(packed(&texts))),
            kind::SET => several(input, text).map(Self::Set),
            kind::SORTED_SET_OF_TEXT => {
                several(input, |input| Ok((text(input)?, input.double_of_text()?))).map(Self::SortedSet)
            }
            kind::SORTED_SET => several(input, |input| Ok((text(input)?, input.double()?))).map(Self::SortedSet),
            kind::HASH => several(input, |input| Ok((text(input)?, text(input)?))).map(Self::Hash),
            kind::HASH_ZIPMAP => old::zipmap(&input.string()?).map(Self::Hash),
            kind::LIST_ZIPLIST => old::ziplist(&input.string()?).map(|texts| Self::List(packed(&texts))),
            kind::LIST_OF_ZIPLISTS => several(input, |input| old::ziplist(&input.string()?))
                .map(|lists| Self::List(lists.iter().flat_map(|texts| packed(texts)).collect())),
            kind::HASH_ZIPLIST => old::ziplist(&input.string()?).and_then(pairs).map(Self::Hash),
            kind::SORTED_SET_ZIPLIST => old::ziplist(&input.string()?).and_then(pairs).and_then(|pairs| {
                let scored = pairs.into_iter().map(|(member, score)| Ok((member, self::score(Item::Text(&score))?)));
                scored.collect::<Result<_, _>>().map(Self::SortedSet)
            }),
            kind::SET_INTSET => IntSet::read(text(input)?).map(Self::IntSet).ok_or(Fault::Bad("an intset is damaged")),
            kind::HASH_LISTPACK => paired(listpack(input)?).map(Self::PackedHash),
            kind::SORTED_SET_LISTPACK => ascending(paired(listpack(input)?)?).map(Self::PackedSortedSet),
            kind::LIST_OF_LISTPACKS => several(input, piece).map(Self::List),
            kind::SET_LISTPACK => listpack(input).map(|pack| Self::Set(texts(&pack))),
            kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
                stream::read(kind, input).map(|stream| Self::Stream(Box::new(stream)))
            }
            kind::HASH_2 | kind::HASH_WITH_FIELD_ENDS | kind::HASH_LISTPACK_WITH_FIELD_ENDS => {
                field_ends::read(kind, input)
            }
            kind::MODULE | kind::MODULE_2 => Err(Fault::OfModule),
            _ => Err(Fault::Bad("a value has an unknown type")),
        }
        .and_then(Self::not_empty)
    }

    /// No key has a collection of nothing.
    fn not_empty(self) -> Result<Self, Fault> {
        let is_empty = match &self {
            Self::List(packs) => packs.iter().all(Listpack::is_empty),
            Self::Set(members) => members.is_empty(),
            Self::Hash(fields) => fields.is_empty(),
            Self::SortedSet(members) => members.is_empty(),
            Self::PackedHash(pack) | Self::PackedSortedSet(pack) => pack.is_empty(),
            // A stream stays when its last entry goes.
            Self::String(_) | Self::IntSet(_) | Self::Stream(_) | Self::Foreign(..) => false,
        };
        if is_empty { Err(Fault::Bad("a collection is empty")) } else { Ok(self) }
    }
}

pub(super) fn text(input: &mut Input<'_>) -> Result<Text, Fault> {
    input.string().map(std::borrow::Cow::into_owned)
}

pub(super) fn several<T>(
    input: &mut Input<'_>,
    one: impl Fn(&mut Input<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let count = input.length()?;
    let mut all = Vec::with_capacity(count.min(PREPARED_MAX));
    for _ in 0..count {
        all.push(one(input)?);
    }
    Ok(all)
}

pub(super) fn listpack(input: &mut Input<'_>) -> Result<Listpack, Fault> {
    Listpack::read(text(input)?).ok_or(Fault::Bad("a listpack is damaged"))
}

/// What a listpack holds.
pub(super) fn texts(pack: &Listpack) -> Vec<Text> {
    pack.iter().map(|(_, item)| item.text().into_owned()).collect()
}

/// One piece of a list: a listpack, or an element that is too large for one.
fn piece(input: &mut Input<'_>) -> Result<Listpack, Fault> {
    const BARE: u64 = 1;
    const PACKED: u64 = 2;
    match input.number()? {
        BARE => {
            let element = input.string()?;
            let fits = element.len() < BYTES_MAX / 2;
            if fits { Ok([&*element].into_iter().collect()) } else { Err(Fault::Bad("an element is too large")) }
        }
        PACKED => listpack(input),
        _ => Err(Fault::Bad("a piece of a list has an unknown form")),
    }
}

/// Texts in pieces of moderate size.
fn packed(texts: &[Text]) -> Vec<Listpack> {
    const PIECE: usize = 128;
    texts.chunks(PIECE).map(|texts| texts.iter().map(Vec::as_slice).collect()).collect()
}

fn pairs(texts: Vec<Text>) -> Result<Vec<(Text, Text)>, Fault> {
    let mut texts = texts.into_iter();
    let mut pairs = Vec::new();
    while let Some(first) = texts.next() {
        pairs.push((first, texts.next().ok_or(Fault::Bad("a pair lacks its second half"))?));
    }
    Ok(pairs)
}

fn paired(pack: Listpack) -> Result<Listpack, Fault> {
    if pack.len().is_multiple_of(2) { Ok(pack) } else { Err(Fault::Bad("a pair lacks its second half")) }
}

fn score(item: Item<'_>) -> Result<f64, Fault> {
    parse_f64(&item.text()).ok_or(Fault::Bad("a score is not a number"))
}

fn ascending(pack: Listpack) -> Result<Listpack, Fault> {
    let mut former = f64::NEG_INFINITY;
    for (_, _, item) in pack.pairs() {
        let score = score(item)?;
        if score < former {
            return Err(Fault::Bad("the scores of a sorted set are in no order"));
        }
        former = score;
    }
    Ok(pack)
}
