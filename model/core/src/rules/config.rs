//! Requests about the node's own configuration and file.

use crate::{
    config::Config,
    effect::Reply,
    rule::Rule,
    step::{Save, Turn},
};
use alloc::sync::Arc;

impl<const SLOTS: usize> Turn<'_, SLOTS> {
    pub(crate) fn configured(&mut self, config: Arc<Config>) {
        self.rule(Rule::ConfigChanged);
        self.node.config = config;
        self.node.adopt_config();
        self.save(Save::Soon);
        self.evaluate_later();
    }

    pub(crate) fn save_config(&mut self) -> Reply {
        self.rule(Rule::ConfigSaved);
        self.save(Save::Sync);
        Reply::Done
    }
}
