"""Every error a user can cause, in one tree. The message names the thing, the reason and the remedy in one line."""

from __future__ import annotations


class StropError(Exception):
    """A mistake that the user can mend. The command line prints its message as one line and exits with `exit_code`."""

    exit_code = 2


class UsageError(StropError):
    """A name or an option that does not exist or does not fit."""


class UnknownTaskError(UsageError):
    """A name that no task has, and that no file of somebody's own may be the reason of."""


class DataError(StropError):
    """A file that is missing, malformed or not the one a task needs. Names the file, and the line if there is one."""


class MissingError(DataError):
    """Data that are not there: a file that a mirror or the data folder does not have."""


class PictureError(DataError):
    """A picture that does not open, or is too large to be one."""


class ModelError(StropError):
    """A model that cannot be loaded, or an adapter that does not fit it."""


class OutageError(ModelError):
    """A model that stopped answering half-way."""


class BudgetError(StropError):
    """Answers of a server that have cost what they may cost."""


class StoppedError(StropError):
    """A command that its user stopped; the message says what is kept."""

    exit_code = 130


class RecipeError(StropError):
    """A recipe with an unknown or ill-typed field."""


class RunError(StropError):
    """A run folder that belongs to another recipe, or is in use."""
