"""What stands behind a worker.

    reply        an engine's answer to one HTTP request
    generator    tokens at a GPU's speed, made up but always the same
    child        a real program as a child process, started and stopped with its worker
    prompt | words | schema_value | speed    parts of the generator

``kinds`` says which image runs which of them.
"""
