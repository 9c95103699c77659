//! What an expression evaluates to, as far as that is known before there is a plan.

/// The variables of policies.
pub(super) const VARIABLES: [&str; 6] = ["goal", "constraints", "context", "plan", "schedule", "arms"];

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Anything, as in the context.
    Any,
    Bool,
    Int,
    Unsigned,
    Double,
    /// A text of a step, of an arm or of the policy itself.
    Text,
    /// A text that may be long: a caller's, or one that was put together.
    LongText,
    List(Box<Shape>),
    Record(RecordKind),
}

/// What has a fixed set of fields: a kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    Step,
    Arm,
    Schedule,
}

impl Shape {
    /// That of a variable.
    pub(super) fn of_variable(name: &str) -> Option<Self> {
        Some(match name {
            "goal" => Self::LongText,
            "constraints" => Self::list(Self::LongText),
            "context" => Self::Any,
            "plan" => Self::list(Self::Record(RecordKind::Step)),
            "schedule" => Self::Record(RecordKind::Schedule),
            "arms" => Self::list(Self::Record(RecordKind::Arm)),
            _ => return None,
        })
    }

    pub(super) fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// In words, with its article.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Bool => "a boolean",
            Self::Int => "an int",
            Self::Unsigned => "a uint",
            Self::Double => "a double",
            Self::Text | Self::LongText => "a string",
            Self::List(_) => "a list",
            Self::Record(record) => record.noun(),
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Unsigned | Self::Double)
    }

    /// Whether a value of this shape may equal one of the other.
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) | (Self::Text | Self::LongText, Self::Text | Self::LongText) => {
                true
            }
            (Self::List(a), Self::List(b)) => a.may_equal(b),
            _ => self == other || self.is_number() && other.is_number(),
        }
    }

    /// Whether it takes a fixed time to copy and to look at.
    pub(super) fn is_small(&self) -> bool {
        !matches!(self, Self::Any | Self::LongText | Self::List(_))
    }

    /// The shape of what is of either shape. An empty list has elements of any.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::List(a), Self::List(b)) if *b == Self::Any => Self::List(a),
            (Self::List(a), Self::List(b)) if *a == Self::Any => Self::List(b),
            (a, b) if a == b => a,
            (Self::Text | Self::LongText, Self::Text | Self::LongText) => Self::LongText,
            _ => Self::Any,
        }
    }
}

impl RecordKind {
    /// The names of its fields.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Step => &[
                "step",
                "action",
                "required_arm",
                "acceptance_criteria",
                "depends_on",
                "estimated_cost_tier",
                "estimated_duration_seconds",
                "ancestors",
            ],
            Self::Arm => &[
                "id",
                "description",
                "capabilities",
                "keywords",
                "cost_tier",
                "aliases",
                "inputs",
                "outputs",
            ],
            Self::Schedule => &["levels", "critical_path", "critical_path_seconds"],
        }
    }

    /// The shape of a field; `None` when there is no such field.
    pub(super) fn field(self, name: &str) -> Option<Shape> {
        if !self.fields().contains(&name) {
            return None;
        }
        Some(match name {
            "action" | "required_arm" | "id" | "description" => Shape::Text,
            "step"
            | "estimated_cost_tier"
            | "estimated_duration_seconds"
            | "cost_tier"
            | "critical_path_seconds" => Shape::Int,
            "depends_on" | "critical_path" => Shape::list(Shape::Int),
            "levels" => Shape::list(Shape::list(Shape::Int)),
            "ancestors" => Shape::list(Shape::Record(Self::Step)),
            _ => Shape::list(Shape::Text),
        })
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Step => "a step",
            Self::Arm => "an arm",
            Self::Schedule => "the schedule",
        }
    }
}

/// What the parser turns into loops and tests, and how it is called.
pub(super) const MACROS: [(&str, &str); 6] = [
    ("has", "has(record.field)"),
    ("all", "list.all(x, condition)"),
    ("exists", "list.exists(x, condition)"),
    ("exists_one", "list.exists_one(x, condition)"),
    ("map", "list.map(x, value)"),
    ("filter", "list.filter(x, condition)"),
];

/// A function: its name, what it is called on if it is a method, what else it takes, what it returns.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) receiver: Option<Shape>,
    pub(super) takes: &'static [Shape],
    pub(super) returns: Shape,
}

/// Every function that policies may call. `matches` has an implementation of our own.
pub(super) const FUNCTIONS: &[Function] = &[
    method("contains", Shape::Text, &[Shape::Text], Shape::Bool),
    method("startsWith", Shape::Text, &[Shape::Text], Shape::Bool),
    method("endsWith", Shape::Text, &[Shape::Text], Shape::Bool),
    method(MATCHES, Shape::Text, &[Shape::Text], Shape::Bool),
    method("size", Shape::Any, &[], Shape::Int),
    function("size", &[Shape::Any], Shape::Int),
    function("int", &[Shape::Any], Shape::Int),
    function("double", &[Shape::Any], Shape::Double),
    function("string", &[Shape::Any], Shape::LongText),
];

/// Whether a text matches a regular expression.
pub(super) const MATCHES: &str = "matches";

const fn method(name: &'static str, on: Shape, takes: &'static [Shape], returns: Shape) -> Function {
    Function { name, receiver: Some(on), takes, returns }
}

const fn function(name: &'static str, takes: &'static [Shape], returns: Shape) -> Function {
    Function { name, receiver: None, takes, returns }
}
