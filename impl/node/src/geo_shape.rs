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
        let distance = self.center.distance_m(position);
        let is_outside = match self.form {
            Form::Circle { radius } => distance > radius * self.unit_m,
            Form::Box { width, height } => {
                let same_parallel = Position { longitude: self.center.longitude, ..position };
                self.center.distance_north_m(position) > height * self.unit_m / 2.0
                    || position.distance_m(same_parallel) > width * self.unit_m / 2.0
            }
        };
        // What is not a number lies in every shape.
        (!is_outside).then_some(distance)
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
