//! Open questions: what the LLM would have to know for a better plan.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::llm::{Message, Prompt, Role};

/// The instruction for the LLM.
const ASKED: &str = "\nAfter the confidence, add \"open_questions\": a list of at most 3 short questions to the caller \
     whose answers would change the plan; an empty list when there are none. Plan without waiting for answers.";

/// The schema of the list. Strict structured output takes no limit of its length.
const SCHEMA: &str = r#","open_questions":{"type":"array","items":{"type":"string"}}"#;

/// The same prompt, which also asks for open questions.
pub(super) fn asked_for(mut prompt: Prompt) -> Prompt {
    if let Some(message) = prompt.messages.iter_mut().rfind(|message| message.role == Role::User) {
        *message = Message::new(Role::User, [&*message.content, ASKED].concat());
    }
    for schema in [&mut prompt.schema.tight, &mut prompt.schema.plain] {
        *schema = with_questions(schema);
    }
    prompt
}

/// `schema` of a plan with a list of questions behind the confidence, its last property.
fn with_questions(schema: &Arc<RawValue>) -> Arc<RawValue> {
    let text = schema.get().replacen(r#","confidence"]"#, r#","confidence","open_questions"]"#, 1);
    let property = text.rfind(r#","confidence":{"#).expect("a property of every schema of a plan");
    let end = property + text[property..].find('}').expect("the end of its schema") + 1;
    let whole = [&text[..end], SCHEMA, &text[end..]].concat();
    RawValue::from_string(whole).expect("JSON with one more property is JSON").into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::PlanRequest;
    use crate::domain::PlanRules;
    use crate::domain::arms::ArmRegistry;
    use crate::planner::PlanJob;
    use crate::planner::prompts::Prompts;

    fn schemas(prompt: &Prompt) -> [Value; 2] {
        [&prompt.schema.tight, &prompt.schema.plain]
            .map(|schema| serde_json::from_str(schema.get()).expect("a schema"))
    }

    #[test]
    fn schema_and_prompt_have_open_questions_only_when_they_are_asked_for() {
        let prompts = Prompts::new(&Arc::new(ArmRegistry::default()), &PlanRules::default());
        let job = PlanJob::from(PlanRequest { goal: "g".into(), ..PlanRequest::default() });
        let usual = prompts.first(&job);
        let asked = prompts.first(&PlanJob { asks_questions: true, ..job });
        assert!(!usual.messages.iter().any(|message| message.content.contains("open_questions")));
        assert!(asked.messages[1].content.ends_with(ASKED));
        for (before, after) in schemas(&usual).into_iter().zip(schemas(&asked)) {
            let mut with_questions = before.clone();
            let list = serde_json::json!({ "type": "array", "items": { "type": "string" } });
            with_questions["properties"]["open_questions"] = list;
            with_questions["required"].as_array_mut().expect("a list").push("open_questions".into());
            assert_eq!(after, with_questions);
        }
        let last = asked.schema.tight.get().find("open_questions\":{").expect("the property");
        assert!(last > asked.schema.tight.get().find("\"confidence\":{").expect("the property"));
    }
}
