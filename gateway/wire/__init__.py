"""OpenAI bytes in and out: values and bytes, no I/O.

``operations`` lists what is served, ``call`` peeks into a request, ``rewrite`` changes the few fields that must
change, ``usage`` reads token counts, ``events`` follows a stream, ``envelope`` writes errors, ``headers`` decides
which headers pass.
"""
