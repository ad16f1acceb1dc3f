from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, agent, crew, task


@CrewBase
class RewritingCrew:
    """Writes what drafts did not reach."""

    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @agent
    def author(self) -> Agent:
        return Agent(config=self.agents_config["author"])

    @task
    def rewrite(self) -> Task:
        return Task(config=self.tasks_config["rewrite"])

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)
