"""Why the model refuses something: each is a value's fault, never the emulator's."""


class Refused(Exception):
    """What was asked for cannot be done."""


class UnknownEndpoint(Refused):
    """There is no such endpoint."""


class UnknownWorker(Refused):
    """There is no such worker."""


class UnknownJob(Refused):
    """There is no such job, or no longer."""


class QuotaExceeded(Refused):
    """The endpoints' max workers would sum up to more than the account may have."""


class CannotChange(Refused):
    """A field that is fixed when an endpoint is made was to be changed."""
