"""Right plans and LLM calls of planner-arm (the argument), instructor and pydantic-ai over the answers of tests/corpus.

Each answer is the first one of a fake LLM; every further one is the labelled plan written cleanly. For an answer
whose label says that the LLM is asked again, that is PLAN. The peers check a strict model with the rules that the
planner also tells its LLM, and may ask as often as the planner.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import tomllib
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Literal

import instructor
from openai import OpenAI
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_ai import Agent, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

ATTEMPTS = 3
ARMS = ("planner", "retriever", "coder", "executor", "judge", "guardian")
GOAL = "Ship it"
PROMPT = f"""Break the goal down into 3 to 7 steps. Each step names one of the arms {", ".join(ARMS)}, has acceptance
criteria, and depends only on steps before it. One step by the judge verifies the result. Goal: {GOAL}"""


def step(number, arm, action, needs, tier=2, seconds=60):
    return {
        "step": number,
        "action": action,
        "required_arm": arm,
        "acceptance_criteria": [f"{action}: done"],
        "depends_on": needs,
        "estimated_cost_tier": tier,
        "estimated_duration_seconds": seconds,
    }


PLAN = [
    step(1, "retriever", "Search the codebase for what the goal touches", []),
    step(2, "coder", "Write the change", [1]),
    step(3, "coder", "Write tests for the change", [1]),
    step(4, "executor", "Run the full test suite", [2, 3]),
    step(5, "judge", "Verify the result against every constraint", [4]),
]


class Case:
    """An answer, the plan that is right, and whether its arms and dependencies are labelled or its actions only."""

    def __init__(self, answer):
        self.name, self.text, self.finish = answer["name"], answer["text"], answer.get("finish", "stop")
        actions, steps = answer.get("actions", []), answer.get("steps", [])
        self.has_dependencies = True
        if answer["becomes"] == "asked_again":
            self.kind, self.plan = "must be asked again", PLAN
        elif steps:
            self.kind, self.plan = "arms, dependencies, order", [
                self.labelled(number, *pair) for number, pair in enumerate(zip(actions, steps, strict=True), 1)
            ]
        else:
            self.kind, self.has_dependencies = "order", False
            arms = ["retriever", *["coder"] * (len(actions) - 2), "judge"][-len(actions) :]
            self.plan = [step(n, *pair, [n - 1] if n > 1 else []) for n, pair in enumerate(zip(arms, actions), 1)]
        self.clean = json.dumps({"plan": self.plan, "rationale": "In order.", "confidence": 0.9})

    @staticmethod
    def labelled(number, action, label):
        arm, needs, tier, seconds = re.fullmatch(r"(\S+) (\[.*\]) (\d+), (\d+)", label).groups()
        return step(number, arm, action, json.loads(needs), int(tier), int(seconds))

    def is_right(self, plan):
        if plan is None or len(plan) != len(self.plan):
            return False
        # Case, punctuation and what is around the words do not matter.
        words = [["".join(re.findall(r"\w+", step["action"].casefold())) for step in steps] for steps in (self.plan, plan)]
        return all(mine in theirs for mine, theirs in zip(*words)) and (
            not self.has_dependencies or shape(plan) == shape(self.plan)
        )


def shape(plan):
    positions = {step["step"]: position for position, step in enumerate(plan)}
    return [(step["required_arm"], sorted({positions[need] for need in step["depends_on"]})) for step in plan]


def cases():
    for path in sorted(pathlib.Path("tests/corpus").glob("*.toml")):
        for answer in tomllib.loads(path.read_text(encoding="utf-8"))["answer"]:
            # What is refused has no plan.
            if answer["becomes"] != "refused":
                yield Case(answer)


class Llm(ThreadingHTTPServer):
    """The fake LLM: the answer of the case at the first call, the clean plan at every further one."""

    daemon_threads = True
    case, calls = None, 0

    def say(self):
        self.calls += 1
        return (self.case.text, self.case.finish) if self.calls == 1 else (self.case.clean, "stop")


class Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        text, finish = self.server.say()
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 800, "completion_tokens": 200, "total_tokens": 1000}
        completion = {"id": "1", "object": "chat.completion", "created": 1, "model": "fake"}
        body = json.dumps(completion | {"choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


Text = Annotated[str, Field(pattern=r"\S")]


class Strict(BaseModel):
    # PEERS_LAX=1: what Pydantic does by default, which is to convert values and to ignore further keys.
    model_config = ConfigDict() if os.environ.get("PEERS_LAX") else ConfigDict(strict=True, extra="forbid")


class Step(Strict):
    step: int
    action: Text
    required_arm: Literal[ARMS]
    acceptance_criteria: Annotated[list[Text], Field(min_length=1)]
    depends_on: list[int]
    estimated_cost_tier: Annotated[int, Field(ge=1, le=5)]
    estimated_duration_seconds: Annotated[int, Field(gt=0)]


class Plan(Strict):
    plan: Annotated[list[Step], Field(min_length=3, max_length=7)]
    rationale: str
    confidence: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def check(self):
        before = set()
        for step in self.plan:
            if step.step in before or not before.issuperset(step.depends_on):
                raise ValueError(f"step {step.step}: its number is taken, or it depends on a step that is not before it")
            before.add(step.step)
        if len({step.action for step in self.plan}) < len(self.plan):
            raise ValueError("two steps have the same action")
        if all(step.required_arm != "judge" for step in self.plan):
            raise ValueError("no step verifies the result")
        return self

    def steps(self):
        return self.model_dump()["plan"]


def instructor_peer(url):
    client = instructor.from_openai(OpenAI(base_url=url, api_key="none", max_retries=0), mode=instructor.Mode.JSON)
    messages = [{"role": "user", "content": PROMPT}]
    return lambda: client.chat.completions.create(
        model="fake", response_model=Plan, messages=messages, max_retries=ATTEMPTS
    ).steps()


def pydantic_ai_peer(url):
    model = OpenAIChatModel("fake", provider=OpenAIProvider(base_url=url, api_key="none"))
    agent = Agent(model, output_type=PromptedOutput(Plan), retries=ATTEMPTS - 1)
    return lambda: agent.run_sync(PROMPT).output.steps()


class Planner:
    """The service with its default settings, but without a cache: all cases have the same goal."""

    def __init__(self, binary, url):
        settings = {"HOST": "127.0.0.1", "PORT": "0", "LOG_FORMAT": "json", "CACHE_TTL_SECONDS": "0"}
        settings |= {"LLM_BASE_URL": url, "LLM_MODEL": "fake", "LLM_MAX_ATTEMPTS": str(ATTEMPTS)}
        env = {"PATH": os.environ["PATH"]} | {f"PLANNER_{name}": value for name, value in settings.items()}
        self.process = subprocess.Popen([binary, "serve"], env=env, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if address := re.search(r'"address":"([^"]+)"', line):
                break
        else:
            sys.exit("planner-arm did not start")
        self.url = f"http://{address[1]}/plan"
        # The log must not fill its pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __call__(self):
        body = json.dumps({"goal": GOAL}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["plan"]


def measure(llm, case, contestant):
    llm.case, llm.calls = case, 0
    try:
        plan, error = contestant(), ""
    except Exception as failure:  # whatever a peer raises, it has no plan
        plan, error = None, f"{type(failure).__name__}: {str(failure)[:200]!r}"
    if os.environ.get("PEERS_VERBOSE") and not case.is_right(plan):
        print(f"  {case.kind}: {case.name}: {error or shape(plan)}", file=sys.stderr)
    return case.is_right(plan), llm.calls


def main(binary):
    llm = Llm(("127.0.0.1", 0), Call)
    threading.Thread(target=llm.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{llm.server_port}/v1"
    planner = Planner(binary, url)
    contestants = {"planner-arm": planner, "instructor": instructor_peer(url), "pydantic-ai": pydantic_ai_peer(url)}
    all_cases, table = list(cases()), {}
    try:
        for name, contestant in contestants.items():
            counts = table[name] = collections.defaultdict(lambda: [0, 0])
            if os.environ.get("PEERS_VERBOSE"):
                print(f"{name}, wrong:", file=sys.stderr)
            for case in all_cases:
                right, calls = measure(llm, case, contestant)
                for kind in (case.kind, "all"):
                    counts[kind][0] += right
                    counts[kind][1] += calls
    finally:
        planner.process.terminate()
        planner.process.wait()
    print("| what is labelled | answers |" + "".join(f" {name}: right | calls |" for name in contestants))
    print("|---|---|" + "---|---|" * len(contestants))
    sizes = collections.Counter(case.kind for case in all_cases)
    for kind in ("arms, dependencies, order", "order", "must be asked again", "all"):
        cells = [cell for counts in table.values() for cell in counts[kind]]
        print("|", " | ".join(map(str, [kind, sizes.get(kind, len(all_cases)), *cells])), "|")
    ours, *peers = (counts["all"] for counts in table.values())
    return any(ours[0] < right or ours[1] >= calls for right, calls in peers)


sys.exit(main(sys.argv[1]))
