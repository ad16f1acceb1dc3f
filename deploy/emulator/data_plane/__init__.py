"""What a caller sees of Runpod: queue endpoints, load-balancing endpoints, the edge before both.

    routes | balancer    HTTP: a queue endpoint's operations; requests to load-balancing workers
    openai_route    the platform's OpenAI route of a queue endpoint
    entrance        key, endpoint, faults and rate limit: what every request passes first
    conductor       lets time go on in the world; starts and stops engines and jobs with it
    handler         what vLLM's worker does with a job
    webhooks        tells the end of jobs
    pieces          how an answer is cut into pieces on its way
    connection      breaking a connection off

``conductor`` is the only one with tasks of its own.
"""
