//! Policies: rules of an installation for its plans, as CEL expressions.
//!
//! They are compiled and checked at start. Evaluation is pure, its cost is bounded, and what
//! cannot be evaluated does not hold.

mod check;
mod direct;
mod evaluate;
mod node;
mod opaque;
mod rewrite;
mod sample;
mod shape;
mod syntax;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;

use cel::IdedExpr as Expression;
use serde::Deserialize;
use serde_json::Map;

use crate::domain::arms::{Arm, ArmRegistry};
use crate::domain::{PlanRules, Schedule, SubTask};

use check::{Checked, check};
use evaluate::is_for_each_step;
use node::Node;
use opaque::Pattern;
use shape::Shape;

pub use evaluate::Violation;

/// Maximum number of policies of an installation.
pub const MAX_POLICIES: usize = 50;
/// Longest expression, in characters.
const MAX_EXPRESSION_CHARS: usize = 2_000;
/// Longest name and longest message, in characters.
const MAX_NAME_CHARS: usize = 100;
const MAX_MESSAGE_CHARS: usize = 300;
/// What all policies together may take for one plan, in units of about 100 ns.
const FUEL_UNITS: u64 = 200_000;

/// What follows when a policy does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The plan is never returned.
    #[default]
    Error,
    /// The plan has a warning.
    Warning,
}

/// A policy as written in the settings file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySource {
    /// Its name, unique.
    pub name: String,
    /// To which plans it applies, as a CEL expression; all without one.
    #[serde(default)]
    pub when: Option<String>,
    /// What must be true of them, as a CEL expression.
    pub require: String,
    /// The message for the LLM and the caller.
    pub message: String,
    /// Whether a plan that breaks it is invalid.
    #[serde(default)]
    pub severity: Severity,
}

/// What policies look at.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The goal; empty for a plan that is only validated.
    pub goal: &'a str,
    /// The caller's constraints.
    pub constraints: &'a [String],
    /// The caller's context.
    pub context: &'a Map<String, serde_json::Value>,
    /// The whole plan, steps that are done already included.
    pub steps: &'a [SubTask],
    /// Its schedule.
    pub schedule: &'a Schedule,
    /// The arms of the request.
    pub arms: &'a [Arm],
}

/// All policies of an installation, in the order of the settings file.
#[derive(Default)]
pub struct Policies {
    policies: Vec<Policy>,
    patterns: Vec<Pattern>,
}

struct Policy {
    source: PolicySource,
    when: Option<Compiled>,
    require: Compiled,
    /// Whether it is about each step by itself: `plan.all(step, …)`, where nothing else depends on the other steps but
    /// for the step's ancestors. A step that breaks it does so in any plan with the same ancestors.
    is_of_each_step: bool,
}

/// A checked expression, for `cel` and for the direct evaluation.
struct Compiled {
    expression: Expression,
    node: Node,
}

/// As written in the settings file.
impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sources()).finish()
    }
}

impl Policies {
    /// Compiles `sources`, and evaluates each for a sample plan with the arms of `registry` that is as long as `rules`
    /// allow.
    ///
    /// # Errors
    /// Every fault, such as `policies[1].require (deploys): line 1, column 7: …`.
    pub fn new(
        sources: &[PolicySource],
        registry: &ArmRegistry,
        rules: &PlanRules,
    ) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        if sources.len() > MAX_POLICIES {
            faults.push(format!("has {} policies; at most {MAX_POLICIES} are allowed", sources.len()));
        }
        let mut all = Self::default();
        for (index, source) in sources.iter().enumerate() {
            let path = PolicyPath { index, source };
            let earlier = &sources[..index];
            if earlier.iter().any(|earlier| earlier.name == source.name) {
                faults.push(path.fault("name", "is listed twice"));
            }
            path.check_texts(&mut faults);
            let mut compile = |field: &str, text: &str| {
                compile(text, &mut all.patterns)
                    .map_err(|found| {
                        faults.extend(found.into_iter().map(|fault| path.fault(field, &fault)));
                    })
                    .ok()
            };
            let when = source.when.as_deref().map(|text| compile("when", text));
            if let (Some((require, mentions)), None | Some(Some(_))) =
                (compile("require", &source.require), &when)
            {
                let (when, mentions_before) = when.flatten().unzip();
                let is_of_each_step =
                    mentions + mentions_before.unwrap_or(0) == 1 && is_for_each_step(&require.expression);
                all.policies.push(Policy { source: source.clone(), when, require, is_of_each_step });
            }
        }
        if faults.is_empty() {
            sample::try_out(&all, registry, rules, &mut faults);
        }
        if faults.is_empty() { Ok(all) } else { Err(faults) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// As written in the settings file.
    pub fn sources(&self) -> impl Iterator<Item = &PolicySource> {
        self.policies.iter().map(|policy| &policy.source)
    }
}

/// The path of a policy, for faults.
struct PolicyPath<'a> {
    index: usize,
    source: &'a PolicySource,
}

impl PolicyPath<'_> {
    fn fault(&self, field: &str, what: &str) -> String {
        let name = crate::text::shorten(&self.source.name, 40);
        format!("policies[{}].{field} (`{name}`): {what}", self.index)
    }

    fn check_texts(&self, faults: &mut Vec<String>) {
        let PolicySource { name, message, .. } = self.source;
        for (field, text, max_chars) in
            [("name", name, MAX_NAME_CHARS), ("message", message, MAX_MESSAGE_CHARS)]
        {
            if text.trim().is_empty() {
                faults.push(self.fault(field, "is blank"));
            } else if text.trim() != text || text.chars().any(char::is_control) {
                faults.push(self.fault(field, "has white space around it or a control character in it"));
            } else if text.chars().count() > max_chars {
                faults.push(self.fault(field, &format!("is longer than {max_chars} characters")));
            }
        }
    }
}

/// Parses and checks one expression, which must be a boolean; with it, how often it names the whole plan.
fn compile(text: &str, patterns: &mut Vec<Pattern>) -> Result<(Compiled, usize), Vec<String>> {
    if text.trim().is_empty() {
        return Err(vec!["is blank".to_owned()]);
    }
    if text.chars().count() > MAX_EXPRESSION_CHARS {
        return Err(vec![format!("is longer than {MAX_EXPRESSION_CHARS} characters")]);
    }
    let first = patterns.len();
    let (expression, Checked { shape, mentions_of_plan }, regexes) = syntax::with_large_stack(|| {
        let (mut expression, source) = syntax::parse(text).map_err(|fault| vec![fault])?;
        let mut regexes = Vec::new();
        let checked = check(&mut expression, &source, first, &mut regexes)?;
        Ok::<_, Vec<String>>((expression, checked, regexes))
    })
    .unwrap_or_else(|| Err(vec!["cannot be parsed".to_owned()]))?;
    patterns.extend(regexes.into_iter().map(Pattern));
    match shape {
        Shape::Bool | Shape::Any => {
            let node = Node::of(&expression, &mut Vec::new());
            Ok((Compiled { expression, node }, mentions_of_plan))
        }
        other => Err(vec![format!("must be a boolean, not {}", other.noun())]),
    }
}
