"""Usage that can be asked: records of requests, counted by what somebody asks for.

``question`` says what is asked, ``tally`` counts records one after the other, ``printed`` makes text of the counts.
"""
