//! Owns shapes on the earth: circles and boxes, what is in them, and the cells of a grid in which to look for it.
//!
//! Must not know sorted sets. Which cells are chosen, and in which order, tells in the order of what is found:
//! both are redis-server's.

use crate::geohash::{Area, Cell, Position, STEPS, degrees_east, degrees_north};
use std::ops::ControlFlow;

/// A form, in a unit of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// All that is not farther away.
    Circle {
        /// How far that is.
        radius: f64,
    },
    /// A box whose sides are meridians and parallels.
    Box {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
}

/// A form somewhere on the earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Its middle.
    pub center: Position,
    /// Its form.
    pub form: Form,
    /// How many metres the unit of the form has.
    pub unit_m: f64,
}

impl Shape {
    /// How far away from its middle a position is, in metres; none if it is not in the shape.
    #[must_use]
    pub fn distance_m(&self, position: Position) -> Option<f64> {
        if let Form::Box { width, height } = self.form {
            let same_parallel = Position { longitude: self.center.longitude, ..position };
            let is_outside = self.center.distance_north_m(position) > height * self.unit_m / 2.0
                || position.distance_m(same_parallel) > width * self.unit_m / 2.0;
            if is_outside {
                return None;
            }
        }
        let distance = self.center.distance_m(position);
        // What is not a number lies in every circle.
        let is_too_far = matches!(self.form, Form::Circle { radius } if distance > radius * self.unit_m);
        (!is_too_far).then_some(distance)
    }

    /// From the middle to the farthest point.
    fn reach_m(&self) -> f64 {
        let reach = match self.form {
            Form::Circle { radius } => radius,
            Form::Box { width, height } => ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt(),
        };
        reach * self.unit_m
    }

    /// Between which meridians and parallels it lies. They may be beyond the limits of positions, and the meridians
    /// of a shape around a pole mean nothing.
    fn bounds(&self) -> Area {
        let (width, height) = match self.form {
            Form::Circle { radius } => (radius, radius),
            Form::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Position { longitude, latitude } = self.center;
        let tall = degrees_north(self.unit_m * height);
        // The parallel that is nearer to a pole is the shorter one.
        let short = if latitude < 0.0 { latitude - tall } else { latitude + tall };
        let wide = degrees_east(self.unit_m * width, short);
        Area { west: longitude - wide, east: longitude + wide, south: latitude - tall, north: latitude + tall }
    }

    /// How fine the grid is in which its cell and the eight around it cover the shape, as a rule.
    fn steps(&self) -> u32 {
        /// Half the equator on maps.
        const HALF_EQUATOR_M: f64 = 20_037_726.37;
        let mut reach = self.reach_m();
        if reach == 0.0 {
            return STEPS;
        }
        let mut steps = -1_i32;
        while reach < HALF_EQUATOR_M {
            reach *= 2.0;
            steps += 1;
        }
        // Meridians are nearer to each other towards the poles.
        let latitude = self.center.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        u32::try_from(steps).unwrap_or_default().clamp(1, STEPS)
    }

    /// Hands over the cells that cover it, one by one, until told to stop.
    pub fn visit_cells(&self, mut visit: impl FnMut(Cell) -> ControlFlow<()>) {
        /// To the east and to the north.
        const AROUND: [(i32, i32); 8] = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let (bounds, middle, steps) = self.middle_cell();
        let area = middle.area();
        // In a grid of four cells nothing is far enough away to be left out.
        let is_needed = |(east, north): (i32, i32)| {
            let is_past = north < 0 && area.south < bounds.south
                || north > 0 && area.north > bounds.north
                || east < 0 && area.west < bounds.west
                || east > 0 && area.east > bounds.east;
            steps < 2 || !is_past
        };
        if visit(middle).is_break() {
            return;
        }
        let mut last = None;
        for (east, north) in AROUND.into_iter().filter(|&direction| is_needed(direction)) {
            let cell = middle.neighbour(east, north);
            // In a coarse grid, both neighbours on one line are the same.
            if last == Some(cell) {
                continue;
            }
            if visit(cell).is_break() {
                return;
            }
            last = Some(cell);
        }
    }

    /// Its bounds, the cell of its middle, and the steps of that cell's grid.
    fn middle_cell(&self) -> (Area, Cell, u32) {
        let (bounds, steps) = (self.bounds(), self.steps());
        let cell = Cell::around(self.center, steps);
        let reaches_out = cell.neighbour(0, 1).area().north < bounds.north
            || cell.neighbour(0, -1).area().south > bounds.south
            || cell.neighbour(1, 0).area().east < bounds.east
            || cell.neighbour(-1, 0).area().west > bounds.west;
        if steps > 1 && reaches_out {
            return (bounds, Cell::around(self.center, steps - 1), steps - 1);
        }
        (bounds, cell, steps)
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Shape};
    use crate::geohash::{Cell, Position};
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use std::ops::ControlFlow;

    fn shape(longitude: f64, latitude: f64, form: Form) -> Shape {
        Shape { center: Position::new(longitude, latitude).expect("within the limits"), form, unit_m: 1000.0 }
    }

    fn cells(shape: &Shape) -> Vec<Cell> {
        let mut cells = Vec::new();
        shape.visit_cells(|cell| {
            cells.push(cell);
            ControlFlow::Continue(())
        });
        cells
    }

    #[test]
    fn a_small_circle_needs_few_cells_and_the_earth_needs_four() {
        let count = |radius| cells(&shape(13.0, 38.0, Form::Circle { radius })).len();
        assert_eq!((count(0.0), count(f64::INFINITY), count(1e308)), (1, 4, 4));
        let mut visits = 0;
        shape(13.0, 38.0, Form::Circle { radius: 1e4 }).visit_cells(|_| {
            visits += 1;
            ControlFlow::Break(())
        });
        assert_eq!(visits, 1);
    }

    #[test]
    fn a_box_is_as_wide_at_any_latitude() {
        let holds = |longitude, latitude| {
            let place = Position::new(longitude, latitude).expect("within the limits");
            shape(0.0, 60.0, Form::Box { width: 200.0, height: 20.0 }).distance_m(place).is_some()
        };
        // A degree of longitude has 111 km at the equator, and half of that here.
        assert!(holds(1.79, 60.0) && !holds(1.81, 60.0));
        assert!(holds(0.0, 60.089) && !holds(0.0, 60.091));
    }

    fn form() -> impl Strategy<Value = Form> {
        prop_oneof![
            (0.001..500.0).prop_map(|radius| Form::Circle { radius }),
            (0.001..500.0, 0.001..500.0).prop_map(|(width, height)| Form::Box { width, height }),
        ]
    }

    proptest! {
        /// Away from the poles and the date line, what is in a shape is in one of its cells, and only in one.
        #[test]
        fn what_is_in_a_shape_is_in_its_cells(
            longitude in -150.0..150.0, latitude in -60.0..60.0, form in form(), east in -1.0..1.0, north in -1.0..1.0,
        ) {
            let shape = shape(longitude, latitude, form);
            let cells = cells(&shape);
            prop_assert!((1..=9).contains(&cells.len()));
            let reach = shape.reach_m() / 111_000.0;
            let place = Position::new(longitude + 2.0 * east * reach, latitude + north * reach);
            let place = place.filter(|place| shape.distance_m(*place).is_some());
            if let Some(place) = place {
                let score = place.score() as f64;
                prop_assert_eq!(cells.iter().filter(|cell| cell.scores().contains(&score)).count(), 1);
            }
        }

        /// A shape holds its own middle, unless there is nothing in it.
        #[test]
        fn the_middle_is_in_the_shape(longitude in -180.0..180.0, latitude in -85.0..85.0, form in form()) {
            let shape = shape(longitude, latitude, form);
            prop_assert_eq!(shape.distance_m(shape.center), Some(0.0));
        }
    }
}
