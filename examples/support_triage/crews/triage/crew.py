from typing import Literal

from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, agent, crew, llm, task
from pydantic import BaseModel

from orchestrator.llm import TierLLM, tier


class Topic(BaseModel):
    """What the router must answer: the schema leaves it these three values and nothing else."""

    about: Literal["a payment", "a technical problem", "a general question"]


@CrewBase
class TriageCrew:
    """Sorts a message into exactly one topic."""

    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @llm
    def routing(self) -> TierLLM:
        return tier("routing", temperature=0.0, max_tokens=40)

    @agent
    def router(self) -> Agent:
        return Agent(config=self.agents_config["router"])

    @task
    def classify(self) -> Task:
        # response_model sends the schema; output_pydantic alone would also write it into the prompt.
        return Task(config=self.tasks_config["classify"], response_model=Topic, output_pydantic=Topic)

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)
