from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, agent, crew, task
from pydantic import BaseModel, Field


class Facts(BaseModel):
    """Two sentences. Their length is part of the schema: an answer that is cut in the middle is no JSON."""

    first: str = Field(max_length=160)
    second: str = Field(max_length=160)


@CrewBase
class ResearchCrew:
    """Collects facts."""

    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @agent
    def researcher(self) -> Agent:
        return Agent(config=self.agents_config["researcher"])

    @task
    def collect(self) -> Task:
        # response_model sends the schema; output_pydantic alone would also write it into the prompt.
        return Task(config=self.tasks_config["collect"], response_model=Facts, output_pydantic=Facts)

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)
