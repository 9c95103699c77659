//! What `POST /submit` takes, what `GET /tasks/{id}` gives, and what the planner is asked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use crate::domain;
use crate::domain::faults::{Faults, MAX_FAULTS, check_entries, read_json};
use crate::domain::request::{goal_fits, null_as_default};
use crate::domain::{
    FieldError, MAX_CONSTRAINT_CHARS, MAX_CONSTRAINTS, MAX_CONTEXT_BYTES, PlanRequest, PlanResponse,
};
use crate::text::hex;

/// Longest text context, in characters.
const MAX_CONTEXT_CHARS: u64 = 50_000;
/// What is wrong with constraints for which the planner has no room.
const TOO_LONG_FOR_PLANNER: &str =
    "must not, together with acceptance_criteria, exceed 50 entries of 2,000 characters by more than 64 KiB";
/// Longest name of an arm, in characters, as in the planner's registry.
const MAX_ARM_CHARS: usize = 100;

/// A task as it was submitted. No text may contain the character U+0000.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
pub struct Submission {
    /// The goal: 1 to 10,000 characters, not blank.
    #[validate(custom(
        function = "goal_fits",
        message = "must be 1 to 10,000 characters long and not blank"
    ))]
    #[schema(
        min_length = 1,
        max_length = 10_000,
        pattern = r"\S",
        example = "Write a function to calculate fibonacci"
    )]
    pub goal: String,
    /// Constraints by name; those that are null count as absent.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Object>, example = json!({"max_time": "5 min"}))]
    pub constraints: Map<String, Value>,
    /// Background information, at most 50,000 characters.
    #[validate(length(max = "MAX_CONTEXT_CHARS", message = "must be at most 50,000 characters long"))]
    #[schema(max_length = 50_000)]
    pub context: Option<String>,
    /// How to tell that the goal is achieved; none blank.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(custom(function = "none_blank", message = "must not be blank"))]
    #[schema(value_type = Option<Vec<String>>)]
    pub acceptance_criteria: Vec<String>,
    /// Limits for the task.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(nested)]
    #[schema(value_type = Option<Budget>)]
    pub budget: Budget,
    /// How urgent it is; medium when absent.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Priority>)]
    pub priority: Priority,
    /// The arm that carries out the whole task, 1 to 100 characters, not blank; such a task is not planned.
    #[validate(custom(function = "arm_fits", message = "must be 1 to 100 characters long and not blank"))]
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    pub assigned_arm: Option<String>,
    /// The caller's own notes, stored as they are.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Map<String, Value>,
}

/// Limits for a task.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(from = "BudgetFields")]
pub struct Budget {
    /// Tokens, 1 to 100,000; 10,000 when absent. Stored for the arms; planning has its own limits.
    #[validate(range(min = 1, max = 100_000, message = "must be from 1 to 100000"))]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    pub max_tokens: u32,
    /// Time to a plan, in seconds, 1 to 3,600; 300 when absent. Time in which no orchestrator runs does not count. If
    /// stated, it also limits the critical path of the plan.
    #[validate(range(min = 1, max = 3_600, message = "must be from 1 to 3600"))]
    #[schema(minimum = 1, maximum = 3_600)]
    pub max_time_seconds: Option<u32>,
    /// US dollars, 0 to 100; 1.0 when absent. Stored for the arms.
    #[validate(range(min = 0.0, max = 100.0, message = "must be from 0 to 100"))]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 100)]
    pub max_cost_usd: f64,
}

/// The time for planning of a task that states none.
const DEFAULT_TIME_SECONDS: u32 = 300;

/// A budget as it is sent: each field may be absent.
#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
struct BudgetFields {
    max_tokens: Option<u32>,
    max_time_seconds: Option<u32>,
    max_cost_usd: Option<f64>,
}

impl From<BudgetFields> for Budget {
    fn from(fields: BudgetFields) -> Self {
        Self {
            max_tokens: fields.max_tokens.unwrap_or(10_000),
            max_time_seconds: fields.max_time_seconds,
            max_cost_usd: fields.max_cost_usd.unwrap_or(1.0),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        BudgetFields::default().into()
    }
}

impl Budget {
    /// The time for planning, in seconds.
    pub(super) fn planning_seconds(&self) -> u32 {
        self.max_time_seconds.unwrap_or(DEFAULT_TIME_SECONDS)
    }
}

/// How urgent a task is: more urgent ones are planned first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Planned when nothing else waits.
    Low,
    /// The default.
    #[default]
    Medium,
    /// Planned before medium and low.
    High,
    /// Planned before everything else.
    Critical,
}

impl Priority {
    /// The priority of a stored rank.
    pub(super) fn ranked(rank: i16) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High, Self::Critical].into_iter().find(|known| known.rank() == rank)
    }

    /// The rank in the database, 1 to 4.
    pub(super) fn rank(self) -> i16 {
        match self {
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Critical => 4,
        }
    }
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for a plan.
    Pending,
    /// Is being planned.
    Processing,
    /// Has a plan.
    Completed,
    /// Has no plan and will get none.
    Failed,
    /// Was cancelled.
    Cancelled,
}

impl TaskStatus {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Cancelled];

    /// The name in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// A task as `GET /tasks/{id}` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Task {
    /// Its id, a UUID.
    #[schema(format = "uuid")]
    pub task_id: String,
    /// Its state.
    pub status: TaskStatus,
    /// The goal.
    pub goal: String,
    /// The plan, once it is made.
    pub result: Option<PlanResponse>,
    /// Why it failed, or why it still waits.
    pub error: Option<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// From its first claim to its end, in milliseconds.
    pub processing_time_ms: Option<i64>,
}

impl Submission {
    /// Reads a task from JSON.
    ///
    /// # Errors
    /// Everything that is wrong with it, what the planner would refuse included.
    pub fn from_json(body: &[u8]) -> Result<Self, Vec<FieldError>> {
        let (task, mut faults) = read_json::<Self>(body, "a goal")?;
        for field in task.fields_with_nul() {
            faults.add(field, "must not contain the character U+0000");
        }
        if task.assigned_arm.is_none() {
            task.check_for_planner(&mut faults);
        }
        let faults = faults.into_list();
        if faults.is_empty() { Ok(task) } else { Err(faults) }
    }

    /// A hash that two submissions share if they make the same task.
    pub(super) fn fingerprint(&self) -> String {
        // Keys of objects are sorted, and absent fields have their defaults. Hashes of earlier versions do not tell a
        // stated time of 300 seconds from an absent one.
        let mut task = self.clone();
        task.budget.max_time_seconds.get_or_insert(DEFAULT_TIME_SECONDS);
        let json = serde_json::to_vec(&task).expect("strings and JSON values serialise");
        hex(&Sha256::digest(json))
    }

    /// Fields that have the character U+0000 somewhere, which databases do not store.
    fn fields_with_nul(&self) -> Vec<String> {
        let has_nul = |text: &String| text.contains('\0');
        let fields = [
            ("goal", has_nul(&self.goal)),
            ("context", self.context.as_ref().is_some_and(has_nul)),
            ("assigned_arm", self.assigned_arm.as_ref().is_some_and(has_nul)),
            ("constraints", object_has_nul(&self.constraints)),
            ("metadata", object_has_nul(&self.metadata)),
        ];
        let fields = fields.into_iter().filter(|(_, has_nul)| *has_nul).map(|(field, _)| field.to_owned());
        let criteria = self.acceptance_criteria.iter().enumerate().filter(|(_, text)| has_nul(text));
        let criteria = criteria.map(|(index, _)| format!("acceptance_criteria[{index}]"));
        fields.chain(criteria.take(MAX_FAULTS + 1)).collect()
    }

    /// Adds what the planner would refuse to `faults`, by the names of the fields here.
    fn check_for_planner(&self, faults: &mut Faults) {
        let (goal, context) = (self.goal.clone(), self.context.as_deref());
        // The time budget is checked by its own name.
        let request = plan_request(goal, &self.constraints, context, &self.acceptance_criteria, None);
        for fault in request.check().err().unwrap_or_default() {
            match fault.field.as_str() {
                // The text is cut to what is left: the rest alone is too long.
                "context" => faults.add("constraints", TOO_LONG_FOR_PLANNER),
                _ => faults.add(fault.field, fault.message),
            }
        }
    }
}

fn none_blank(criteria: &[String]) -> Result<(), ValidationError> {
    check_entries(criteria, |text| !text.trim().is_empty())
}

fn arm_fits(arm: &str) -> Result<(), ValidationError> {
    let fits = !arm.trim().is_empty() && arm.chars().count() <= MAX_ARM_CHARS;
    if fits { Ok(()) } else { Err(ValidationError::new("length")) }
}

/// The request for a plan for a task.
///
/// Constraints become its list, `{"max_time": "5 min"}` as `max_time: 5 min`, followed by the acceptance
/// criteria; those that do not fit into the list go into the context, as does a text. The time budget is one that the
/// task states: the default limits only the time for planning.
pub(super) fn plan_request(
    goal: String,
    constraints: &Map<String, Value>,
    context: Option<&str>,
    acceptance_criteria: &[String],
    max_time_seconds: Option<u32>,
) -> PlanRequest {
    // Null counts as absent.
    let constraints = constraints.iter().filter(|(_, value)| !value.is_null());
    let constraints = constraints.map(|(name, value)| match value {
        Value::String(text) if text.is_empty() => name.clone(),
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    let criteria = acceptance_criteria.iter().map(|text| format!("Acceptance criterion: {text}"));
    let (mut listed, mut others) = (Vec::new(), Vec::new());
    for rule in constraints.chain(criteria).filter(|rule| !rule.is_empty()) {
        let fits = listed.len() < MAX_CONSTRAINTS as usize && rule.chars().count() <= MAX_CONSTRAINT_CHARS;
        if fits { listed.push(rule) } else { others.push(rule) }
    }
    PlanRequest {
        goal,
        constraints: listed,
        context: context_object(context, &others),
        budget: max_time_seconds.map(|seconds| domain::Budget {
            max_duration_seconds: Some(seconds.into()),
            ..domain::Budget::default()
        }),
        ..PlanRequest::default()
    }
}

/// The planner's context: a text, which is cut where it is too long and then says so, and more constraints.
fn context_object(text: Option<&str>, more_constraints: &[String]) -> Map<String, Value> {
    let object = |text: Option<&str>, note: Option<String>| {
        let more = (!more_constraints.is_empty()).then(|| json!(more_constraints));
        let fields =
            [("text", text.map(Value::from)), ("note", note.map(Value::from)), ("more_constraints", more)];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        fields.collect::<Map<_, _>>()
    };
    let fits =
        |object: &Map<_, _>| serde_json::to_string(object).is_ok_and(|json| json.len() <= MAX_CONTEXT_BYTES);
    let text = text.filter(|text| !text.trim().is_empty());
    let whole = object(text, None);
    let Some(text) = text.filter(|_| !fits(&whole)) else { return whole };
    let chars = text.chars().count();
    let cut = |kept: usize| {
        let end = text.char_indices().nth(kept).map_or(text.len(), |(at, _)| at);
        let note = format!("The text was cut off: these are the first {kept} of {chars} characters.");
        object(Some(&text[..end]), Some(note))
    };
    // The longest that fits: more characters never take fewer bytes.
    let (mut fitting, mut too_many) = (0, chars);
    while too_many - fitting > 1 {
        let middle = usize::midpoint(fitting, too_many);
        if fits(&cut(middle)) { fitting = middle } else { too_many = middle }
    }
    cut(fitting)
}

fn object_has_nul(fields: &Map<String, Value>) -> bool {
    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(has_nul),
            Value::Object(fields) => object_has_nul(fields),
            _ => false,
        }
    }
    fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
}
