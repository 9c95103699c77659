//! How a weak LLM writes its plan down.

use std::fmt::Write as _;

use planner_arm::llm::Completion;

use super::dice::Dice;
use super::weak_llm::{ProposedPlan, ProposedStep};

/// Habits of writing; without any of them it is JSON as asked for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "habits are independent of each other")]
pub struct Hand {
    pub pretty: bool,
    pub trailing_commas: bool,
    /// Single quotes, `None` for an empty list, and a `True`.
    pub python: bool,
    pub comments: bool,
    pub bare_keys: bool,
    /// Quotes inside of texts are not escaped.
    pub raw_quotes: bool,
    /// The list of steps comes after rationale and confidence.
    pub steps_last: bool,
    /// Other names for keys, as (asked for, written).
    names: Vec<(&'static str, &'static str)>,
    /// Names of objects around the plan, the outermost first.
    wrappers: &'static [&'static str],
}

/// Just what was asked for.
pub fn asked(plan: &ProposedPlan, dice: &mut Dice) -> Completion {
    Completion { content: Hand::any(dice).plan(plan, dice), ..Completion::default() }
}

impl Hand {
    pub fn any(dice: &mut Dice) -> Self {
        Self { pretty: dice.chance(50), ..Self::default() }
    }

    pub fn with_other_names(mut self, dice: &mut Dice) -> Self {
        const NAMES: &[(&str, &[&str])] = &[
            ("plan", &["steps", "subtasks", "tasks"]),
            ("step", &["step_number", "id", "number"]),
            ("action", &["description", "task", "instruction"]),
            ("required_arm", &["arm", "arm_id", "assigned_arm", "agent"]),
            ("acceptance_criteria", &["criteria", "success_criteria", "acceptanceCriteria"]),
            ("depends_on", &["dependencies", "dependsOn", "prerequisites"]),
            ("estimated_cost_tier", &["cost_tier", "estimated_cost", "cost"]),
            ("estimated_duration_seconds", &["duration_seconds", "estimated_duration", "duration"]),
            ("rationale", &["reasoning", "explanation"]),
        ];
        const WRAPPERS: &[&[&str]] = &[&["result"], &["response", "plan"], &["data"], &["output", "result"]];
        for (asked, others) in NAMES {
            if dice.chance(60) {
                self.names.push((*asked, *dice.pick(others)));
            }
        }
        self.wrappers = *dice.pick(WRAPPERS);
        self
    }

    pub fn plan(&self, plan: &ProposedPlan, dice: &mut Dice) -> String {
        let steps: Vec<String> = plan.steps.iter().map(|step| self.step(step, dice)).collect();
        let mut members = vec![
            ("plan", self.list(steps, dice)),
            ("rationale", self.text(&plan.rationale)),
            ("confidence", plan.confidence.to_string()),
        ];
        if self.steps_last {
            members.rotate_left(1);
        }
        let mut written = self.object(members, dice);
        for wrapper in self.wrappers.iter().rev() {
            written = self.object(vec![(wrapper, written)], dice);
        }
        written
    }

    fn step(&self, step: &ProposedStep, dice: &mut Dice) -> String {
        let criteria = step.criteria.iter().map(|criterion| self.text(criterion)).collect();
        let needs: Vec<String> = step.needs.iter().map(ToString::to_string).collect();
        let needs = if self.python && needs.is_empty() { "None".into() } else { self.list(needs, dice) };
        let mut members = vec![
            ("step", step.number.to_string()),
            ("action", self.text(&step.action)),
            ("required_arm", self.text(&step.arm)),
            ("acceptance_criteria", self.list(criteria, dice)),
            ("depends_on", needs),
            ("estimated_cost_tier", step.cost_tier.to_string()),
            ("estimated_duration_seconds", step.seconds.to_string()),
        ];
        if self.python {
            members.push(("parallel", "True".into()));
        }
        self.object(members, dice)
    }

    fn object(&self, members: Vec<(&'static str, String)>, dice: &mut Dice) -> String {
        let written = members.into_iter().map(|(name, value)| {
            let name = self.names.iter().find(|(asked, _)| *asked == name).map_or(name, |(_, other)| other);
            let name = if self.bare_keys { name.to_owned() } else { self.text(name) };
            format!("{name}: {value}")
        });
        self.between('{', written.collect(), '}', dice)
    }

    fn list(&self, items: Vec<String>, dice: &mut Dice) -> String {
        self.between('[', items, ']', dice)
    }

    fn between(&self, opener: char, items: Vec<String>, closer: char, dice: &mut Dice) -> String {
        const COMMENTS: &[&str] =
            &["// it's needed first", "# see step 1, above", "/* \"why\": unclear */", "// [optional]"];
        let count = items.len();
        let mut written = String::from(opener);
        for (index, item) in items.into_iter().enumerate() {
            if self.pretty {
                let _ = write!(written, "\n  {}", item.replace('\n', "\n  "));
            } else {
                written.push_str(&item);
            }
            if index + 1 < count || self.trailing_commas {
                written.push_str(if self.pretty { "," } else { ", " });
            }
            if self.comments && dice.chance(30) {
                let _ = write!(written, " {}", dice.pick(COMMENTS));
            }
        }
        if self.pretty && count > 0 {
            written.push('\n');
        }
        written.push(closer);
        written
    }

    fn text(&self, text: &str) -> String {
        if self.python && (!text.contains('\'') || text.contains('"')) {
            return format!("'{}'", text.replace('\'', "\\'"));
        }
        let text = if self.raw_quotes { text.to_owned() } else { text.replace('"', "\\\"") };
        format!("\"{text}\"")
    }
}

/// Puts quotes into texts: at their end, at their beginning, before a comma, around a word.
pub fn add_quotes(plan: &mut ProposedPlan, dice: &mut Dice) {
    let step = dice.pick_mut(&mut plan.steps);
    step.action = match dice.below(4) {
        0 => format!("{} and call it \"done\"", step.action),
        1 => format!("\"Quickly\" {}", step.action.to_lowercase()),
        2 => format!("{}, its \"before\", its \"after\" and the rest", step.action),
        _ => format!("{} until it says \"ok\" twice", step.action),
    };
    step.criteria[0] = match dice.below(3) {
        0 => format!("{}: \"yes\"", step.criteria[0]),
        1 => "\"Done\" is shown".into(),
        _ => "The button \"Save\", not \"Send\", is used".into(),
    };
}

/// A fence, and prose around it.
pub fn fenced(json: &str, dice: &mut Dice) -> String {
    const BEFORE: &[&str] = &[
        "Sure! Here is the plan:",
        "Here's a plan {as requested}.",
        "**Plan**",
        "Let me break this down [1].",
    ];
    const AFTER: &[&str] = &["", "Let me know if you'd like changes!", "Note: {steps} may run in parallel."];
    let fence = dice.pick(&["```json", "```", "```JSON"]);
    format!("{}\n\n{fence}\n{json}\n```\n{}", dice.pick(BEFORE), dice.pick(AFTER))
}

/// Without one to all of the brackets and braces at the end.
pub fn without_closers(json: &str, dice: &mut Dice) -> String {
    let is_closer = |c: char| matches!(c, '}' | ']') || c.is_whitespace();
    let body = json.trim_end_matches(is_closer);
    let closers = json[body.len()..].chars().filter(|c| !c.is_whitespace()).count();
    let mut kept = json;
    for _ in 0..=dice.below(closers) {
        kept = kept.trim_end();
        kept = &kept[..kept.len() - 1];
    }
    kept.to_owned()
}

/// Words, and no JSON at all.
pub fn prose(plan: &ProposedPlan, dice: &mut Dice) -> String {
    let mut steps = String::new();
    for step in &plan.steps {
        let _ = writeln!(steps, "{}. **{}** ({})", step.number, step.action, step.arm);
    }
    match dice.below(4) {
        0 => format!("Here is how I would go about it:\n\n{steps}\nShall I begin?"),
        1 => format!(
            "<think>\nThe user wants a plan. Perhaps:\n{steps}\nThat should do.\n</think>\n\nI would start small."
        ),
        2 => format!("<think>\nLet me see. {steps}"),
        _ => "I'm sorry, but I need more information about the goal before I can plan it.".into(),
    }
}
