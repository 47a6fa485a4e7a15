//! Owns geohashes: positions on the earth as cells of a grid, whose numbers are the scores of sorted sets, and
//! the distances between positions.
//!
//! A grid halves both angles so many times (its steps). A cell's number has the bits of its latitude and of its
//! longitude in turn, the latitude's in the even places. A score is a cell's number in the finest grid, of
//! [`STEPS`] steps. Every operation here is done in the order in which redis-server does it, so that results are
//! the same to the last bit.
//!
//! Must not know sorted sets, nor how positions are searched.

use std::{f64::consts::PI, ops::Range};

/// How far east or west a position may be, in degrees.
pub const LONGITUDE_MAX: f64 = 180.0;
/// How far north or south a position may be, in degrees: there the world is a square on maps of EPSG:3857.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// How many times the finest grid halves each angle.
pub const STEPS: u32 = 26;

/// The radius of the earth that distances are computed with.
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
const RADIANS_PER_DEGREE: f64 = PI / 180.0;
/// How far north or south positions of the usual geohashes go, in degrees.
const POLE: f64 = 90.0;

/// How far apart two bits of a coordinate are brought, half by half, and which bits are meaningful then.
const HALVES: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

/// Puts a bit of nothing before each bit.
fn spread(word: u32) -> u64 {
    HALVES.iter().fold(word.into(), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// Takes back what [`spread`] has done; the bits in odd places do not count.
fn gather(bits: u64) -> u32 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let wider = [0x3333_3333_3333_3333, 0x0f0f_0f0f_0f0f_0f0f, 0x00ff_00ff_00ff_00ff, 0x0000_ffff_0000_ffff];
    let halves = wider.iter().zip([1, 2, 4, 8]);
    let bits = halves.fold(bits & EVEN, |bits, (mask, shift)| (bits | bits >> shift) & mask);
    (bits | bits >> 16) as u32
}

fn radians(degrees: f64) -> f64 {
    degrees * RADIANS_PER_DEGREE
}

/// The angle in degrees that so many metres to the north or to the south make.
#[must_use]
pub fn degrees_north(metres: f64) -> f64 {
    metres / EARTH_RADIUS_M / RADIANS_PER_DEGREE
}

/// The angle in degrees that so many metres to the east or to the west make at a latitude.
#[must_use]
pub fn degrees_east(metres: f64, latitude: f64) -> f64 {
    metres / EARTH_RADIUS_M / radians(latitude).cos() / RADIANS_PER_DEGREE
}

/// How many metres are half a great circle: no distance is longer.
#[must_use]
pub fn longest_m() -> f64 {
    EARTH_RADIUS_M * PI
}

/// A place on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// To the east.
    pub longitude: f64,
    /// To the north.
    pub latitude: f64,
}

impl Position {
    /// The position; none if it is beyond the limits.
    #[must_use]
    pub fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let is_within = longitude.abs() <= LONGITUDE_MAX && latitude.abs() <= LATITUDE_MAX;
        is_within.then_some(Self { longitude, latitude })
    }

    /// The number of its cell in the finest grid. It has 52 bits, and two more at the limits in the north and
    /// the east.
    #[must_use]
    pub fn score(self) -> u64 {
        Cell::around(self, STEPS).number()
    }

    /// The position that a score stands for. Any score stands for one: what is no cell's number is cut to what
    /// a 64-bit processor makes of it, and what lies beyond the limits is brought to them.
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        Cell::numbered(bits_of(score)).area().middle()
    }

    /// Its geohash in eleven characters, as other systems write it. Their grid goes to the poles; the last
    /// character says nothing.
    #[must_use]
    pub fn text(self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let number = Cell::in_grid(self, STEPS, POLE).number();
        let letter = |place: u32| char::from(ALPHABET[(number >> (47 - 5 * place)) as usize % ALPHABET.len()]);
        (0..10).map(letter).chain(['0']).collect()
    }

    /// How far away another position is, in metres, by the haversine formula. It is not a number for some
    /// positions that are opposite each other.
    #[must_use]
    pub fn distance_m(self, other: Self) -> f64 {
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        if v == 0.0 {
            return self.distance_north_m(other);
        }
        let (latitude, to_latitude) = (radians(self.latitude), radians(other.latitude));
        let u = ((to_latitude - latitude) / 2.0).sin();
        2.0 * EARTH_RADIUS_M * (u * u + latitude.cos() * to_latitude.cos() * v * v).sqrt().asin()
    }

    /// How far away the parallel of another position is, in metres.
    #[must_use]
    pub fn distance_north_m(self, other: Self) -> f64 {
        EARTH_RADIUS_M * (radians(other.latitude) - radians(self.latitude)).abs()
    }
}

/// The bits of a score, as conversion on x86-64 gives them for numbers of any size.
fn bits_of(score: f64) -> u64 {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    if score < 0.0 {
        score as i64 as u64
    } else if score < BEYOND {
        score as u64
    } else {
        0
    }
}

/// A cell of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    latitude: u32,
    longitude: u32,
    steps: u32,
}

impl Cell {
    /// The cell in which a position is, in the grid of so many steps, of which there are 1 to [`STEPS`].
    #[must_use]
    pub fn around(position: Position, steps: u32) -> Self {
        Self::in_grid(position, steps, LATITUDE_MAX)
    }

    fn in_grid(position: Position, steps: u32, latitude_max: f64) -> Self {
        let place = |angle: f64, most: f64| ((angle - -most) / (most - -most) * cells_across(steps)) as u32;
        let latitude = place(position.latitude, latitude_max);
        Self { latitude, longitude: place(position.longitude, LONGITUDE_MAX), steps }
    }

    /// The cell of this number in the finest grid.
    fn numbered(number: u64) -> Self {
        Self { latitude: gather(number), longitude: gather(number >> 1), steps: STEPS }
    }

    fn number(self) -> u64 {
        spread(self.latitude) | spread(self.longitude) << 1
    }

    /// The scores of all positions in it.
    #[must_use]
    pub fn scores(self) -> Range<f64> {
        let score = |number: u64| (number << (2 * (STEPS - self.steps))) as f64;
        score(self.number())..score(self.number() + 1)
    }

    /// The neighbour so many cells to the east and to the north. Behind the last cell comes the first.
    #[must_use]
    pub fn neighbour(self, east: i32, north: i32) -> Self {
        let last = (1_u32 << self.steps) - 1;
        // Who does not move stays, even beyond the last cell, where positions at the limits are.
        let moved = |place: u32, by: i32| if by == 0 { place } else { place.wrapping_add_signed(by) & last };
        Self { latitude: moved(self.latitude, north), longitude: moved(self.longitude, east), ..self }
    }

    /// What it covers.
    #[must_use]
    pub fn area(self) -> Area {
        let angle = |place: u32, most: f64| -most + f64::from(place) / cells_across(self.steps) * (most - -most);
        Area {
            west: angle(self.longitude, LONGITUDE_MAX),
            east: angle(self.longitude.wrapping_add(1), LONGITUDE_MAX),
            south: angle(self.latitude, LATITUDE_MAX),
            north: angle(self.latitude.wrapping_add(1), LATITUDE_MAX),
        }
    }
}

fn cells_across(steps: u32) -> f64 {
    f64::from(1_u32 << steps)
}

/// A part of the earth between two meridians and two parallels, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Its least longitude.
    pub west: f64,
    /// Its greatest longitude.
    pub east: f64,
    /// Its least latitude.
    pub south: f64,
    /// Its greatest latitude.
    pub north: f64,
}

impl Area {
    fn middle(self) -> Position {
        let cut = |low: f64, high: f64, most: f64| (f64::midpoint(low, high)).clamp(-most, most);
        Position {
            longitude: cut(self.west, self.east, LONGITUDE_MAX),
            latitude: cut(self.south, self.north, LATITUDE_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, LATITUDE_MAX, LONGITUDE_MAX, Position, STEPS, gather, longest_m, spread};
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    fn at(longitude: f64, latitude: f64) -> Position {
        Position::new(longitude, latitude).expect("within the limits")
    }

    /// Positions of which redis-server says these scores and texts.
    #[test]
    fn known_positions_have_their_scores() {
        for (position, score, text) in [
            (at(13.361_389, 38.115_556), 3_479_099_956_230_698, "sqc8b49rny0"),
            (at(15.087_269, 37.502_669), 3_479_447_370_796_909, "sqdtr74hyu0"),
            (at(1.0, 2.0), 3_378_080_408_407_459, "s02equ04ve0"),
            (at(3.0, 4.0), 3_379_626_039_612_548, "s0dnu20t9j0"),
        ] {
            assert_eq!((position.score(), Position::of_score(score as f64).text().as_str()), (score, text));
        }
        let palermo = Position::of_score(3_479_099_956_230_698.0);
        assert_eq!(format!("{:.17}", palermo.longitude), "13.36138933897018433");
        let distance = palermo.distance_m(Position::of_score(3_479_447_370_796_909.0));
        assert_eq!(format!("{distance:.4}"), "166274.1516");
    }

    #[test]
    fn what_is_beyond_the_limits_is_no_position() {
        for (longitude, latitude) in [
            (180.000_001, 0.0),
            (-181.0, 0.0),
            (0.0, 85.051_128_79),
            (0.0, -90.0),
            (f64::NAN, 0.0),
            (0.0, f64::NAN),
            (f64::INFINITY, 0.0),
        ] {
            assert_eq!(Position::new(longitude, latitude), None, "{longitude} {latitude}");
        }
        let corner = at(LONGITUDE_MAX, LATITUDE_MAX);
        assert_eq!((corner.score(), Position::of_score(corner.score() as f64)), (3 << 52, corner));
    }

    #[test]
    fn every_score_stands_for_a_position() {
        for score in [0.0, -1.0, -1e300, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e19, 0.5, 9e15] {
            let Position { longitude, latitude } = Position::of_score(score);
            assert!(Position::new(longitude, latitude).is_some(), "{score}");
        }
    }

    #[test]
    fn behind_the_last_cell_comes_the_first() {
        let corner = Cell::around(at(-LONGITUDE_MAX, -LATITUDE_MAX), 3);
        assert_eq!(corner.neighbour(-1, -1).neighbour(1, 1), corner);
        assert_eq!(corner.neighbour(-1, 0).area().east, LONGITUDE_MAX);
    }

    fn position() -> impl Strategy<Value = Position> {
        let longitude = prop_oneof![-LONGITUDE_MAX..=LONGITUDE_MAX, Just(LONGITUDE_MAX), Just(-LONGITUDE_MAX)];
        let latitude = prop_oneof![-LATITUDE_MAX..=LATITUDE_MAX, Just(LATITUDE_MAX), Just(-LATITUDE_MAX)];
        (longitude, latitude).prop_map(|(longitude, latitude)| at(longitude, latitude))
    }

    proptest! {
        #[test]
        fn bits_are_spread_and_gathered(latitude: u32, longitude: u32) {
            let number = spread(latitude) | spread(longitude) << 1;
            prop_assert_eq!((gather(number), gather(number >> 1)), (latitude, longitude));
            let bits = |word: u32| (0..32).fold(0, |sum, bit| sum | (u64::from(word) >> bit & 1) << (2 * bit));
            prop_assert_eq!(number, bits(latitude) | bits(longitude) << 1);
        }

        /// A position keeps its score when it goes through one, and moves by no more than half a cell. A score of more
        /// than 53 bits, which is one of the eastern limit, loses its last bit: there it may be a cell more.
        #[test]
        fn scores_come_back(position in position()) {
            let back = Position::of_score(position.score() as f64);
            let half_cell = |most: f64| most / f64::from(1 << STEPS) * 1.000_001;
            prop_assert!((back.longitude - position.longitude).abs() <= half_cell(LONGITUDE_MAX));
            let halves = if position.longitude == LONGITUDE_MAX { 3.0 } else { 1.0 };
            prop_assert!((back.latitude - position.latitude).abs() <= halves * half_cell(LATITUDE_MAX));
            prop_assert_eq!(Position::of_score(back.score() as f64).score(), back.score());
        }

        /// The cell of any grid holds the position, its scores hold the position's, and its neighbours touch it.
        #[test]
        fn cells_hold_their_positions(position in position(), steps in 1..=STEPS) {
            let cell = Cell::around(position, steps);
            prop_assert!(cell.scores().contains(&(position.score() as f64)) || position.longitude == LONGITUDE_MAX
                || position.latitude == LATITUDE_MAX);
            let area = cell.area();
            prop_assert!(area.west <= position.longitude + 1e-9 && position.longitude <= area.east + 1e-9);
            prop_assert!(area.south <= position.latitude + 1e-9 && position.latitude <= area.north + 1e-9);
            let (east, north) = (cell.neighbour(1, 0).area(), cell.neighbour(0, 1).area());
            prop_assert!(east.west == area.east || area.east >= LONGITUDE_MAX);
            prop_assert!(north.south == area.north || area.north >= LATITUDE_MAX);
        }

        #[test]
        fn distances_are_the_same_both_ways(one in position(), other in position()) {
            let (there, back) = (one.distance_m(other), other.distance_m(one));
            prop_assert!((there - back).abs() < 1e-3 && (0.0..=longest_m() * 1.000_001).contains(&there));
            prop_assert_eq!(one.distance_m(one), 0.0);
        }

        #[test]
        fn no_score_is_too_odd(bits in any::<u64>()) {
            let Position { longitude, latitude } = Position::of_score(f64::from_bits(bits));
            prop_assert!(Position::new(longitude, latitude).is_some());
        }
    }
}
