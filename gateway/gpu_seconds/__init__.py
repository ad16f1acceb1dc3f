"""Where billed worker seconds went: what processes tell each other of it, and what they book.

``watch`` runs beside requests: it tells each endpoint's meter of the other processes and of workers, and books what
was attributed and seen. ``books`` is where it is kept. What adds up to what is ``tiers.bill``.
"""
