from typing import Literal

from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, agent, crew, task
from pydantic import BaseModel


class Verdict(BaseModel):
    """What the judge must answer: the schema leaves it these values and nothing else."""

    quality: Literal["good", "not good"]


@CrewBase
class JudgingCrew:
    """Judges a draft."""

    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @agent
    def critic(self) -> Agent:
        return Agent(config=self.agents_config["critic"])

    @task
    def judge(self) -> Task:
        # response_model sends the schema; output_pydantic alone would also write it into the prompt.
        return Task(config=self.tasks_config["judge"], response_model=Verdict, output_pydantic=Verdict)

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)
