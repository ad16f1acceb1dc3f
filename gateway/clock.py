"""The machine's clocks, made once by each program's composition root and passed to whoever needs the time."""

import time


class SystemClock:
    """Fulfils ``gateway.exchange.Clock``; its methods are the functions themselves, which cost a third."""

    monotonic = staticmethod(time.monotonic)
    unix = staticmethod(time.time)
