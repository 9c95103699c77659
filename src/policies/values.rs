//! Requests and plans as CEL values: views that borrow, so that nothing is copied that no policy asks for.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use regex::Regex;
use serde_json::Value;

use crate::domain::arms::Arm;
use crate::domain::{Schedule, SubTask};

use super::PolicyInput;
use super::check::pattern_index;
use super::rewrite::FUEL;

type BoxVal<'v> = Box<dyn Val + 'v>;
/// For each step, once they are asked for, the places of all that it waits for.
pub(super) type Ancestors = OnceLock<Vec<Vec<usize>>>;

/// What expressions may name, made when it is first named.
pub(super) struct Variables<'a> {
    input: &'a PolicyInput<'a>,
    ancestors: &'a Ancestors,
    patterns: &'a [Pattern],
    fuel: Fuel,
    context: OnceLock<BoxVal<'a>>,
    plan: OnceLock<BoxVal<'a>>,
    arms: OnceLock<BoxVal<'a>>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(
        input: &'a PolicyInput<'a>,
        ancestors: &'a Ancestors,
        patterns: &'a [Pattern],
        fuel: Fuel,
    ) -> Self {
        let (context, plan, arms) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { input, ancestors, patterns, fuel, context, plan, arms }
    }

    /// Each step of the plan.
    pub(super) fn steps(&self) -> impl Iterator<Item = BoxVal<'a>> + use<'a> {
        let (steps, ancestors) = (self.input.steps, self.ancestors);
        (0..steps.len()).map(move |place| RecordValue::boxed(Step { steps, ancestors, place }))
    }
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let PolicyInput { goal, constraints, context, schedule, arms, .. } = *self.input;
        Some(match variable {
            "goal" => CowVal::owned(CelString::from(goal)),
            "constraints" => texts(constraints),
            "context" => CowVal::Borrowed(&**self.context.get_or_init(|| object(context))),
            "plan" => CowVal::Borrowed(&**self.plan.get_or_init(|| list(self.steps()).into_owned())),
            "schedule" => CowVal::Owned(RecordValue::boxed(schedule)),
            "arms" => {
                let all = || list(arms.iter().map(RecordValue::boxed)).into_owned();
                CowVal::Borrowed(&**self.arms.get_or_init(all))
            }
            FUEL => CowVal::Borrowed(&self.fuel),
            _ => CowVal::Borrowed(self.patterns.get(pattern_index(variable)?)?),
        })
    }
}

/// What has named fields, as [`RecordKind::fields`](super::shape::RecordKind::fields) lists them.
trait Fields<'v>: Copy + Send + Sync {
    const TYPE: &'static Type;
    /// The field that tells it from others.
    const IDENTITY: &'static str;
    fn field(self, name: &str) -> Option<CowVal<'v, 'v>>;
}

/// A value with fields.
struct RecordValue<'v, T>(T, PhantomData<&'v ()>);

impl<'v, T: Fields<'v> + 'v> RecordValue<'v, T> {
    fn boxed(of: T) -> BoxVal<'v> {
        Box::new(Self(of, PhantomData))
    }
}

impl<T> fmt::Debug for RecordValue<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record")
    }
}

impl<'a, T: Fields<'a>> Val for RecordValue<'a, T> {
    fn get_type(&self) -> &Type {
        T::TYPE
    }

    fn cel_type() -> &'static Type {
        T::TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let identity = CelString::from(T::IDENTITY);
        let own = self.0.field(T::IDENTITY);
        let others = other.as_indexer().and_then(|other| other.get(&identity).ok());
        other.get_type() == T::TYPE && own.zip(others).is_some_and(|(a, b)| a.equals(b.as_ref()))
    }

    fn clone_as_boxed<'v>(&self) -> BoxVal<'v>
    where
        Self: 'v,
    {
        Box::new(Self(self.0, PhantomData))
    }
}

impl<'a, T: Fields<'a>> Indexer for RecordValue<'a, T> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = index.downcast_ref::<CelString<'_>>().map_or("", CelString::inner);
        self.0.field(name).ok_or_else(|| ExecutionError::no_such_key(name))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<BoxVal<'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

/// A step within its plan.
#[derive(Clone, Copy)]
struct Step<'v> {
    steps: &'v [SubTask],
    ancestors: &'v Ancestors,
    place: usize,
}

impl<'v> Fields<'v> for Step<'v> {
    const TYPE: &'static Type = {
        static STEP: Type = Type::new_unspecified_type("step");
        &STEP
    };
    const IDENTITY: &'static str = "step";

    fn field(self, name: &str) -> Option<CowVal<'v, 'v>> {
        let Self { steps, ancestors, place } = self;
        let step = steps.get(place)?;
        Some(match name {
            "step" => int(step.step),
            "action" => text(&step.action),
            "required_arm" => text(&step.required_arm),
            "acceptance_criteria" => texts(&step.acceptance_criteria),
            "depends_on" => ints(&step.depends_on),
            "estimated_cost_tier" => int(step.estimated_cost_tier),
            "estimated_duration_seconds" => int(step.estimated_duration_seconds),
            "ancestors" => {
                let before = &ancestors.get_or_init(|| ancestors_of(steps))[place];
                list(before.iter().map(|&place| RecordValue::boxed(Step { place, ..self })))
            }
            _ => return None,
        })
    }
}

/// The places of what each step waits for, directly or through others, ascending.
fn ancestors_of(steps: &[SubTask]) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::with_capacity(steps.len());
    for step in steps {
        let mut before = Vec::new();
        for place in step.depends_on.iter().filter_map(|&number| (number as usize).checked_sub(1)) {
            before.extend(all.get(place).into_iter().flatten().copied().chain([place]));
        }
        before.sort_unstable();
        before.dedup();
        all.push(before);
    }
    all
}

impl<'v> Fields<'v> for &'v Arm {
    const TYPE: &'static Type = {
        static ARM: Type = Type::new_unspecified_type("arm");
        &ARM
    };
    const IDENTITY: &'static str = "id";

    fn field(self, name: &str) -> Option<CowVal<'v, 'v>> {
        Some(match name {
            "id" => text(&self.id),
            "description" => text(&self.description),
            "capabilities" => texts(&self.capabilities),
            "keywords" => texts(&self.keywords),
            "cost_tier" => int(self.cost_tier),
            "aliases" => texts(&self.aliases),
            "inputs" => texts(&self.inputs),
            "outputs" => texts(&self.outputs),
            _ => return None,
        })
    }
}

impl<'v> Fields<'v> for &'v Schedule {
    const TYPE: &'static Type = {
        static SCHEDULE: Type = Type::new_unspecified_type("schedule");
        &SCHEDULE
    };
    const IDENTITY: &'static str = "critical_path_seconds";

    fn field(self, name: &str) -> Option<CowVal<'v, 'v>> {
        Some(match name {
            "levels" => list(self.levels.iter().map(|level| ints(level).into_owned())),
            "critical_path" => ints(&self.critical_path),
            "critical_path_seconds" => int(i64::try_from(self.critical_path_seconds).unwrap_or(i64::MAX)),
            _ => return None,
        })
    }
}

fn int<'v>(number: impl Into<i64>) -> CowVal<'v, 'v> {
    CowVal::owned(CelInt::from(number.into()))
}

fn text(text: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(text))
}

fn list<'v>(elements: impl Iterator<Item = BoxVal<'v>>) -> CowVal<'v, 'v> {
    CowVal::owned(CelList::from(elements.collect::<Vec<_>>()))
}

fn ints(numbers: &[u32]) -> CowVal<'_, '_> {
    list(numbers.iter().map(|number| int(*number).into_owned()))
}

fn texts(of: &[String]) -> CowVal<'_, '_> {
    list(of.iter().map(|one| text(one).into_owned()))
}

fn object(fields: &serde_json::Map<String, Value>) -> BoxVal<'_> {
    let entries = fields.iter().map(|(name, value)| (CelMapKey::String(name.as_str().into()), json(value)));
    Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
}

/// Whole numbers are ints, so that they can be used in arithmetic like those of steps.
fn json(value: &Value) -> BoxVal<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(yes) => Box::new(CelBool::from(*yes)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(unsigned)) => Box::new(CelUInt::from(unsigned)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(string) => Box::new(CelString::from(string.as_str())),
        Value::Array(entries) => Box::new(CelList::from(entries.iter().map(json).collect::<Vec<_>>())),
        Value::Object(fields) => object(fields),
    }
}

/// A value that only our own functions can do something with.
macro_rules! opaque {
    ($type:ty, $name:literal) => {
        impl Val for $type {
            fn get_type(&self) -> &Type {
                Self::cel_type()
            }

            fn cel_type() -> &'static Type {
                static TYPE: Type = Type::new_unspecified_type($name);
                &TYPE
            }

            fn clone_as_boxed<'v>(&self) -> BoxVal<'v> {
                Box::new(self.clone())
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $type {}
    };
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

opaque!(Pattern, "pattern");

/// How much may still be evaluated: about one unit for each node, and for each 32 bytes of a text that is read.
#[derive(Debug, Clone)]
pub(super) struct Fuel(Arc<AtomicU64>);

opaque!(Fuel, "fuel");

impl Fuel {
    pub(super) fn new(units: u64) -> Self {
        Self(Arc::new(AtomicU64::new(units)))
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Takes `units`, or what is left when that is less.
    ///
    /// # Errors
    /// When there were not enough.
    pub(super) fn charge(&self, units: u64) -> Result<(), ExecutionError> {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(units), Ordering::Relaxed);
        if units < left { Ok(()) } else { Err(ExecutionError::function_error("policy", "costs too much")) }
    }
}

/// The cost of copying `value`, or of visiting all of it; counting stops soon after `most`.
pub(super) fn size_of(value: &dyn Val, most: u64) -> u64 {
    let sum = |sizes: &mut dyn Iterator<Item = &dyn Val>| {
        let mut sum = 1;
        for value in sizes {
            if sum >= most {
                break;
            }
            sum += size_of(value, most - sum);
        }
        sum
    };
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        1 + text.inner().len() as u64 / 32
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        sum(&mut list.inner().iter().map(|value| &**value))
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        sum(&mut map.inner().iter().flat_map(|(key, value)| [key.inner(), &**value]))
    } else {
        1
    }
}
