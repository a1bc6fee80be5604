"""Errors that carry one clear sentence for the person who has to act on it."""


class MadError(Exception):
    """Base of every error this package raises on purpose.

    ``str(error)`` is a full sentence that says what happened, to which file, and what to do.
    """


class InputError(MadError):
    """What the user gave cannot be used (file, table, parameter, address)."""


class NotFoundError(MadError):
    """The thing asked for (dataset, run, image, scorer) is not in the store or catalogue."""


class AccessError(MadError):
    """A person's role does not let them do this; the sentence says whose role would."""


class UnavailableError(MadError):
    """A part that is needed is not on this machine; the sentence says how to get it."""


class WorkError(MadError):
    """The work itself failed."""


class CancelledError(MadError):
    """A person asked to stop; what was finished so far is kept."""
