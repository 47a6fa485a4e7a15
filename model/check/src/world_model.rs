//! Owns the view of a world as a Stateright model. Knows no protocol and no search.

use slotbus_world::{Action, Invariant, Memory, Setup, Witness, World, tell};
use stateright::{Model, Property};

/// A world to be explored: its setup, where it starts, and which good situations it must reach.
#[derive(Clone, Debug)]
pub struct WorldModel<const SLOTS: usize> {
    /// What is fixed.
    pub setup: Setup,
    /// Where it starts.
    pub origin: World<SLOTS>,
    /// What some run must reach.
    pub witnesses: Vec<Witness>,
    /// The one property that is asked for, if not all: then nothing else ends a search.
    pub focus: Option<&'static str>,
    /// What is remembered of worlds that were left behind, under this setup.
    pub memory: Memory<SLOTS>,
}

impl<const SLOTS: usize> Model for WorldModel<SLOTS> {
    type State = World<SLOTS>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![self.origin.clone()]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        actions.extend(state.successors(&self.setup).into_iter().map(|(action, _)| action));
    }

    fn next_state(&self, last_state: &Self::State, action: Self::Action) -> Option<Self::State> {
        Some(last_state.after(&self.setup, action))
    }

    /// Every step is taken once only: `actions` has to take them as well, to see which dice are thrown.
    fn next_steps(&self, last_state: &Self::State) -> Vec<(Self::Action, Self::State)> {
        last_state.successors_from_memory(&self.setup, &self.memory)
    }

    fn format_action(&self, action: &Self::Action) -> String {
        format!("{:?}", action.what)
    }

    fn format_step(&self, last_state: &Self::State, action: Self::Action) -> Option<String> {
        Some(tell(&self.setup, last_state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let invariants = Invariant::ALL.iter().zip(Self::UNBROKEN);
        let always = invariants.map(|(invariant, holds)| Property::<Self>::always(invariant.id(), holds));
        let witnesses = Witness::ALL.iter().zip(Self::REACHED).filter(|(witness, _)| self.witnesses.contains(witness));
        let sometimes = witnesses.map(|(witness, holds)| Property::<Self>::sometimes(witness.id(), holds));
        let is_meant = |property: &Property<Self>| self.focus.is_none_or(|name| property.name == name);
        always.chain(sometimes).filter(is_meant).collect()
    }
}

/// A condition of a property: Stateright wants plain functions, which can capture nothing.
type Condition<const SLOTS: usize> = fn(&WorldModel<SLOTS>, &World<SLOTS>) -> bool;

/// One function for each invariant, by its place in the catalogue: the compiler counts them.
macro_rules! for_each_invariant {
    (Self::$function:ident) => {
        for_each_invariant!(Self::$function, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
            20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42)
    };
    (Self::$function:ident, $($index:literal)+) => { [$(Self::$function::<$index>,)+] };
}
pub(crate) use for_each_invariant;

impl<const SLOTS: usize> WorldModel<SLOTS> {
    const UNBROKEN: [Condition<SLOTS>; Invariant::ALL.len()] = for_each_invariant!(Self::is_unbroken);
    const REACHED: [Condition<SLOTS>; Witness::ALL.len()] = for_each_invariant!(Self::is_reached, 0 1 2 3 4 5 6 7 8 9);

    fn is_unbroken<const INDEX: usize>(&self, world: &World<SLOTS>) -> bool {
        let invariant = Invariant::ALL[INDEX];
        self.setup.overlooked.contains(invariant) || !world.ghost().broken().contains(invariant)
    }

    fn is_reached<const INDEX: usize>(&self, world: &World<SLOTS>) -> bool {
        Witness::ALL[INDEX].holds(&self.setup, world)
    }
}
