from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, agent, llm, task

from orchestrator.llm import TierLLM, tier


@CrewBase
class AnswerCrew:
    """Finds out, apologises and explains; the Flow picks which of these a message needs."""

    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @llm
    def reasoning(self) -> TierLLM:
        return tier("reasoning", temperature=0.0, max_tokens=100, stream=True)

    @agent
    def engineer(self) -> Agent:
        return Agent(config=self.agents_config["engineer"])

    @agent
    def writer(self) -> Agent:
        return Agent(config=self.agents_config["writer"])

    @task
    def investigate(self) -> Task:
        return Task(config=self.tasks_config["investigate"])

    @task
    def apologise(self) -> Task:
        return Task(config=self.tasks_config["apologise"])

    @task
    def explain(self) -> Task:
        return Task(config=self.tasks_config["explain"])

    def crew_for(self, job: Task) -> Crew:
        """The one agent and the one task of a step."""
        return Crew(agents=[job.agent], tasks=[job], process=Process.sequential)
