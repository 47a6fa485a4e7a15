//! One run of the probe: every case is played to a server of its own, recorded and judged. Knows
//! neither how results are shown nor what decides them.

use super::{
    case::Case,
    divergence::Divergence,
    judge::{self, Judgement},
};
use crate::{
    cluster::Program,
    scripted::{self, Transcript, record::Recorder},
};
use slotbus_core::{Profile, Rule};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Cases wait most of the time.
const PLAYED_AT_ONCE: usize = 12;

/// What is probed, and how.
#[derive(Clone, Debug)]
pub struct Probe {
    /// How the server is started.
    pub program: Program,
    /// The name of the profile that it is said to follow.
    pub profile_name: String,
    /// The profile.
    pub profile: Profile,
    /// An area, a rule or a part of a name: only such cases are played.
    pub filter: Option<String>,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The model explains all that was seen.
    Pass,
    /// It does not, in a way that is known of redis-server and explained.
    Known(String),
    /// It does not.
    Fail(Vec<Divergence>),
    /// The case cannot be played to this server, and why.
    Inapplicable(String),
}

/// The result of one case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// What became of it.
    pub verdict: Verdict,
    /// The rules that fired in the model.
    pub rules: BTreeSet<Rule>,
    /// How many messages of the server were explained.
    pub explained: usize,
    /// What is worth knowing, and is not held against the server.
    pub notes: BTreeSet<String>,
    /// How long it took.
    pub time: Duration,
}

impl Probe {
    /// Plays all cases that are meant. An error means that the run itself cannot be made.
    pub fn run(&self, done: impl Fn(&CaseResult) + Sync) -> Result<Vec<CaseResult>, String> {
        let cases = self.cases()?;
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..if self.is_running() { 1 } else { PLAYED_AT_ONCE.min(cases.len()) } {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = self.play(case);
                        done(&result);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.iter_mut().for_each(|result| self.play_again(result));
        results.sort_by(|left, right| left.case.name().cmp(right.case.name()));
        if results.iter().all(|result| matches!(result.verdict, Verdict::Inapplicable(_))) {
            let reason = results.into_iter().find_map(|result| match result.verdict {
                Verdict::Inapplicable(reason) => Some(reason),
                Verdict::Pass | Verdict::Known(_) | Verdict::Fail(_) => None,
            });
            return Err(format!("no case can be played: {}", reason.unwrap_or_default()));
        }
        Ok(results)
    }

    /// The cases that are meant: at least one.
    pub fn cases(&self) -> Result<Vec<Case>, String> {
        let is_meant = |case: &Case| self.filter.as_ref().is_none_or(|filter| case.is_meant(filter));
        let cases: Vec<_> = Case::all()?.into_iter().filter(is_meant).collect();
        let filter = self.filter.as_deref().unwrap_or_default();
        if cases.is_empty() { Err(format!("there is no area, rule or case '{filter}'")) } else { Ok(cases) }
    }

    /// Real time is part of every case, and a busy machine may come too late for it: what failed among
    /// others is played again by itself, and only what fails again has failed.
    fn play_again(&self, result: &mut CaseResult) {
        let is_settled = match result.verdict {
            Verdict::Pass | Verdict::Known(_) => true,
            Verdict::Inapplicable(_) => self.is_running(),
            Verdict::Fail(_) => false,
        };
        if is_settled {
            return;
        }
        let again = self.play(&result.case);
        if matches!(again.verdict, Verdict::Pass | Verdict::Known(_)) {
            result.notes.insert("failed once among others, and not by itself".to_owned());
        }
        result.notes.extend(again.notes);
        *result = CaseResult { notes: std::mem::take(&mut result.notes), time: result.time + again.time, ..again };
    }

    fn play(&self, case: &Case) -> CaseResult {
        let begun = Instant::now();
        let (verdict, Judgement { rules, explained, notes, .. }) = match self.judged(case) {
            Ok((verdict, judgement)) => (verdict, judgement),
            Err(reason) => (Verdict::Inapplicable(reason), Judgement::default()),
        };
        CaseResult { case: case.clone(), verdict, rules, explained, notes, time: begun.elapsed() }
    }

    fn judged(&self, case: &Case) -> Result<(Verdict, Judgement), String> {
        if case.script.servers.len() > 1 {
            return Err("it needs several servers".to_owned());
        }
        if let Some(obstacle) = scripted::obstacle(&case.script).filter(|_| self.is_running()) {
            return Err(obstacle.to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let recorder = Recorder::keeping();
        let played = scripted::play_recorded(&case.script, &self.program, &self.profile_name, folder.path(), &recorder);
        let judgement = judge::judge(&recorder.records(), self.profile);
        let mut divergences = judgement.divergences.clone();
        match &played {
            Ok(transcript) => divergences.extend(self.awaited_in_vain(case, transcript)),
            // What a server does that keeps a case from being played is told by the model, or not at all.
            Err(error) if divergences.is_empty() => return Err(error.clone()),
            Err(_) => {}
        }
        let known = case.script.diverges.clone().filter(|_| self.profile == Profile::REDIS_7_0);
        let verdict = match (divergences.is_empty(), known, played) {
            (true, _, _) => Verdict::Pass,
            (false, Some(reason), Ok(transcript)) if is_as_recorded(case, &transcript) => Verdict::Known(reason),
            (false, _, _) => {
                let rules: Vec<_> = case.rules().collect();
                Verdict::Fail(divergences.into_iter().map(|found| found.in_case_about(&rules)).collect())
            }
        };
        Ok((verdict, judgement))
    }

    /// The cases are written after redis-server 7.0: under another profile a server may well do
    /// something else than a case waits for, and the model judges alone.
    fn follows_redis(&self) -> bool {
        self.profile == Profile::REDIS_7_0 && !self.is_running()
    }

    /// Whether the server runs already: one case at a time, and under an id that no case has chosen.
    fn is_running(&self) -> bool {
        matches!(self.program, Program::Running { .. })
    }

    /// What the case waited for and did not see.
    fn awaited_in_vain(&self, case: &Case, transcript: &Transcript) -> Vec<Divergence> {
        let is_binding = self.follows_redis() && case.script.diverges.is_none();
        let unmet = transcript.entries.iter().filter(|entry| is_binding && entry.is_unmet);
        unmet
            .map(|entry| {
                let what = format!("line {} of the case waits in vain: {}", entry.line, entry.text);
                Divergence::new(u64::MAX, what, &entry.shown.join(" | "), "what the line waits for", Vec::new())
            })
            .collect()
    }
}

/// Whether a server shows what is recorded of redis-server, where that is known to differ.
fn is_as_recorded(case: &Case, transcript: &Transcript) -> bool {
    let steps = case.script.steps.iter().zip(&transcript.entries).filter(|(step, _)| !step.recorded.is_empty());
    let mut shown = steps.map(|(step, entry)| entry.trimmed() == step.recorded.redis);
    shown.all(|is_same| is_same)
}
