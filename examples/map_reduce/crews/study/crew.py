from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, agent, crew, task


@CrewBase
class StudyCrew:
    """Studies one side of a place."""

    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @agent
    def scholar(self) -> Agent:
        return Agent(config=self.agents_config["scholar"])

    @task
    def study(self) -> Task:
        return Task(config=self.tasks_config["study"])

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)
