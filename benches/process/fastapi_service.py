"""POST /plan as a Python service: FastAPI, pydantic models and the official OpenAI client, with the checks that such a
service usually has. It makes one call, repairs nothing and asks nothing again.

python fastapi_service.py LLM_BASE_URL: serves on a free port of 127.0.0.1, which uvicorn logs.
"""

import sys

import uvicorn
from fastapi import FastAPI, HTTPException
from openai import AsyncOpenAI, OpenAIError
from pydantic import BaseModel, Field, ValidationError, model_validator

ARMS = {
    "planner": "decomposes tasks, plans, resolves dependencies",
    "retriever": "searches knowledge bases, documentation, the web",
    "coder": "writes, debugs, refactors, analyses code",
    "executor": "runs shell commands, calls APIs, scrapes the web",
    "judge": "validates output, checks facts, assures quality",
    "guardian": "detects PII, checks safety, enforces policy",
}


class PlanRequest(BaseModel):
    goal: str = Field(min_length=1, max_length=10_000)
    constraints: list[str] = Field(default=[], max_length=50)
    context: dict = {}


class Step(BaseModel):
    step: int = Field(ge=1)
    action: str = Field(min_length=1)
    required_arm: str
    acceptance_criteria: list[str] = Field(min_length=1)
    depends_on: list[int] = []
    estimated_cost_tier: int = Field(ge=1, le=5)
    estimated_duration_seconds: int = Field(ge=1)


class Plan(BaseModel):
    plan: list[Step] = Field(min_length=3, max_length=7)
    rationale: str
    confidence: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def is_executable(self):
        for number, step in enumerate(self.plan, start=1):
            if step.step != number:
                raise ValueError(f"step {step.step} stands at position {number}")
            if step.required_arm not in ARMS:
                raise ValueError(f"step {number} needs the unknown arm {step.required_arm}")
            if any(not 1 <= earlier < number for earlier in step.depends_on):
                raise ValueError(f"step {number} depends on a step that is not before it")
        if self.plan[-1].required_arm != "judge":
            raise ValueError("the last step does not verify")
        return self


class PlanResponse(Plan):
    total_estimated_duration: int
    complexity_score: float


SYSTEM_PROMPT = f"""You plan tasks for a team of agents. Break the goal into 3 to 7 steps and answer with one JSON object:
{{"plan": [...], "rationale": "...", "confidence": 0.0 to 1.0}}

Each step has the keys step (counted from 1), action, required_arm, acceptance_criteria (at least one sentence),
depends_on (numbers of earlier steps), estimated_cost_tier (1 to 5) and estimated_duration_seconds.

The arms:
{"".join(f"- {name}: {what}" + chr(10) for name, what in ARMS.items())}
The last step verifies the result and is done by the judge. Respect every constraint. Write JSON only."""

app = FastAPI()
llm = AsyncOpenAI(base_url=sys.argv[1], api_key="bench-key")


def user_prompt(request: PlanRequest) -> str:
    constraints = "\n".join(f"- {constraint}" for constraint in request.constraints) or "none"
    return f"Goal: {request.goal}\n\nConstraints:\n{constraints}\n\nContext: {request.context}"


def complexity(plan: Plan) -> float:
    arms = {step.required_arm for step in plan.plan}
    dependencies = sum(len(step.depends_on) for step in plan.plan)
    return round(min(1.0, 0.05 * len(plan.plan) + 0.05 * len(arms) + 0.03 * dependencies), 2)


@app.post("/plan")
async def create_plan(request: PlanRequest) -> PlanResponse:
    try:
        completion = await llm.chat.completions.create(
            model="gpt-3.5-turbo",
            temperature=0.3,
            max_tokens=2000,
            response_format={"type": "json_object"},
            messages=[
                {"role": "system", "content": SYSTEM_PROMPT},
                {"role": "user", "content": user_prompt(request)},
            ],
        )
        plan = Plan.model_validate_json(completion.choices[0].message.content)
    except (OpenAIError, ValidationError) as error:
        raise HTTPException(status_code=500, detail=str(error)) from error
    duration = sum(step.estimated_duration_seconds for step in plan.plan)
    return PlanResponse(
        plan=plan.plan,
        rationale=plan.rationale,
        confidence=plan.confidence,
        total_estimated_duration=duration,
        complexity_score=complexity(plan),
    )


uvicorn.run(app, host="127.0.0.1", port=0)
