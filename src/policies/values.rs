//! Requests and plans as CEL values: views that borrow, so that nothing is copied that no policy asks for.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, Type,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::{Map, Value};

use crate::domain::arms::Arm;
use crate::domain::{Schedule, SubTask};

use super::PolicyInput;
use super::check::pattern_index;
use super::opaque::{Fuel, Pattern};
use super::rewrite::FUEL;

type BoxVal<'v> = Box<dyn Val + 'v>;

/// What expressions may name; as CEL values, made when `cel` first names it.
pub(super) struct Variables<'a> {
    pub(super) input: &'a PolicyInput<'a>,
    plan: &'a Plan<'a>,
    pub(super) patterns: &'a [Pattern],
    pub(super) fuel: Fuel,
    context: OnceLock<BoxVal<'a>>,
    plan_value: OnceLock<BoxVal<'a>>,
    arms_value: OnceLock<BoxVal<'a>>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(
        input: &'a PolicyInput<'a>,
        plan: &'a Plan<'a>,
        patterns: &'a [Pattern],
        fuel: Fuel,
    ) -> Self {
        let (context, plan_value, arms_value) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { input, plan, patterns, fuel, context, plan_value, arms_value }
    }

    /// Each step of the plan.
    pub(super) fn steps(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        Item::Plan(self.plan).elements()
    }

    /// What the variable is.
    pub(super) fn item(&self, variable: &str) -> Option<Item<'a>> {
        let PolicyInput { goal, constraints, context, schedule, arms, .. } = *self.input;
        Some(match variable {
            "goal" => Item::Text(goal),
            "constraints" => Item::Texts(constraints),
            "plan" => Item::Plan(self.plan),
            "schedule" => Item::Schedule(schedule),
            "arms" => Item::Arms(arms),
            "context" => Item::Object(context),
            _ => return None,
        })
    }
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        Some(match variable {
            "context" => CowVal::Borrowed(
                &**self.context.get_or_init(|| Item::Object(self.input.context).into_value()),
            ),
            "plan" => CowVal::Borrowed(&**self.plan_value.get_or_init(|| Item::Plan(self.plan).into_value())),
            "arms" => {
                CowVal::Borrowed(&**self.arms_value.get_or_init(|| Item::Arms(self.input.arms).into_value()))
            }
            FUEL => CowVal::Borrowed(&self.fuel),
            _ => match pattern_index(variable) {
                Some(index) => CowVal::Borrowed(self.patterns.get(index)?),
                None => CowVal::Owned(self.item(variable)?.into_value()),
            },
        })
    }
}

/// A value of a request or a plan: a view that borrows.
#[derive(Clone, Copy)]
pub(super) enum Item<'v> {
    Bool(bool),
    Int(i64),
    Text(&'v str),
    Step(Step<'v>),
    Arm(&'v Arm),
    Schedule(&'v Schedule),
    Ints(&'v [u32]),
    Levels(&'v [Vec<u32>]),
    Texts(&'v [String]),
    Arms(&'v [Arm]),
    Plan(&'v Plan<'v>),
    /// The steps at these places.
    Steps(&'v Plan<'v>, &'v [usize]),
    /// The steps at the places whose bits are set: what [`Item::chosen`] left.
    Chosen(&'v Plan<'v>, u64),
    /// The caller's context, or an object in it.
    Object(&'v Map<String, Value>),
}

impl<'v> Item<'v> {
    /// A value of the caller's context; `None` for those that only `cel` handles.
    pub(super) fn of_context(value: &'v Value) -> Option<Self> {
        Some(match value {
            Value::Bool(yes) => Self::Bool(*yes),
            Value::Number(number) => Self::Int(number.as_i64()?),
            Value::String(text) => Self::Text(text),
            Value::Object(fields) => Self::Object(fields),
            Value::Null | Value::Array(_) => return None,
        })
    }

    /// The elements of this list that are `wanted`; `None` where it is no list of steps, or one of a plan of more than 64.
    pub(super) fn chosen(self, mut wanted: impl FnMut(Self) -> Option<bool>) -> Option<Self> {
        let (Self::Plan(plan) | Self::Steps(plan, _) | Self::Chosen(plan, _)) = self else { return None };
        let mut places = 0_u64;
        for item in self.elements() {
            let Self::Step(step) = item else { return None };
            let place = 1_u64.checked_shl(step.place.try_into().ok()?)?;
            places |= if wanted(item)? { place } else { 0 };
        }
        Some(Self::Chosen(plan, places))
    }

    /// The number of elements of a list.
    pub(super) fn len(self) -> Option<usize> {
        Some(match self {
            Self::Ints(of) => of.len(),
            Self::Levels(of) => of.len(),
            Self::Texts(of) => of.len(),
            Self::Arms(of) => of.len(),
            Self::Plan(of) => of.steps.len(),
            Self::Steps(_, of) => of.len(),
            Self::Chosen(_, places) => places.count_ones() as usize,
            _ => return None,
        })
    }

    /// The element of a list at `place`.
    fn get(self, place: usize) -> Option<Self> {
        Some(match self {
            Self::Ints(of) => Self::Int((*of.get(place)?).into()),
            Self::Levels(of) => Self::Ints(of.get(place)?),
            Self::Texts(of) => Self::Text(of.get(place)?),
            Self::Arms(of) => Self::Arm(of.get(place)?),
            Self::Plan(plan) if place < plan.steps.len() => Self::Step(Step { plan, place }),
            Self::Steps(plan, of) => Self::Step(Step { plan, place: *of.get(place)? }),
            Self::Chosen(plan, places) => {
                let behind = (0..place).fold(places, |places, _| places & places.wrapping_sub(1));
                (behind > 0).then(|| Self::Step(Step { plan, place: behind.trailing_zeros() as usize }))?
            }
            _ => return None,
        })
    }

    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        (0..).map_while(move |place| self.get(place))
    }

    pub(super) fn into_value(self) -> BoxVal<'v> {
        match self {
            Self::Bool(yes) => Box::new(CelBool::from(yes)),
            Self::Int(number) => Box::new(CelInt::from(number)),
            Self::Text(text) => Box::new(CelString::from(text)),
            Self::Step(step) => RecordValue::boxed(step),
            Self::Arm(arm) => RecordValue::boxed(arm),
            Self::Schedule(schedule) => RecordValue::boxed(schedule),
            Self::Object(fields) => object(fields),
            list => Box::new(CelList::from(list.elements().map(Self::into_value).collect::<Vec<_>>())),
        }
    }
}

/// What has named fields, as [`RecordKind::fields`](super::shape::RecordKind::fields) lists them.
pub(super) trait Fields<'v>: Copy + Send + Sync {
    const TYPE: &'static Type;
    /// The field that tells it from others.
    const IDENTITY: &'static str;
    fn field(self, name: &str) -> Option<Item<'v>>;
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
        let own = self.0.field(T::IDENTITY).map(Item::into_value);
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
        self.0
            .field(name)
            .map(|field| CowVal::Owned(field.into_value()))
            .ok_or_else(|| ExecutionError::no_such_key(name))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<BoxVal<'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

/// The steps of a plan.
pub(super) struct Plan<'v> {
    steps: &'v [SubTask],
    /// For each step, once they are asked for, the places of all that it waits for.
    ancestors: OnceLock<Vec<Vec<usize>>>,
}

impl<'v> Plan<'v> {
    pub(super) fn new(steps: &'v [SubTask]) -> Self {
        Self { steps, ancestors: OnceLock::new() }
    }
}

/// A step within its plan.
#[derive(Clone, Copy)]
pub(super) struct Step<'v> {
    plan: &'v Plan<'v>,
    pub(super) place: usize,
}

impl<'v> Fields<'v> for Step<'v> {
    const TYPE: &'static Type = {
        static STEP: Type = Type::new_unspecified_type("step");
        &STEP
    };
    const IDENTITY: &'static str = "step";

    fn field(self, name: &str) -> Option<Item<'v>> {
        let Self { plan, place } = self;
        let step = plan.steps.get(place)?;
        Some(match name {
            "step" => Item::Int(step.step.into()),
            "action" => Item::Text(&step.action),
            "required_arm" => Item::Text(&step.required_arm),
            "acceptance_criteria" => Item::Texts(&step.acceptance_criteria),
            "depends_on" => Item::Ints(&step.depends_on),
            "estimated_cost_tier" => Item::Int(step.estimated_cost_tier.into()),
            "estimated_duration_seconds" => Item::Int(step.estimated_duration_seconds.into()),
            "ancestors" => Item::Steps(plan, &plan.ancestors.get_or_init(|| ancestors_of(plan.steps))[place]),
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

    fn field(self, name: &str) -> Option<Item<'v>> {
        Some(match name {
            "id" => Item::Text(&self.id),
            "description" => Item::Text(&self.description),
            "capabilities" => Item::Texts(&self.capabilities),
            "keywords" => Item::Texts(&self.keywords),
            "cost_tier" => Item::Int(self.cost_tier.into()),
            "aliases" => Item::Texts(&self.aliases),
            "inputs" => Item::Texts(&self.inputs),
            "outputs" => Item::Texts(&self.outputs),
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

    fn field(self, name: &str) -> Option<Item<'v>> {
        Some(match name {
            "levels" => Item::Levels(&self.levels),
            "critical_path" => Item::Ints(&self.critical_path),
            "critical_path_seconds" => {
                Item::Int(i64::try_from(self.critical_path_seconds).unwrap_or(i64::MAX))
            }
            _ => return None,
        })
    }
}

fn object(fields: &Map<String, Value>) -> BoxVal<'_> {
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
