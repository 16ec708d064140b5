"""The error tree, cut by what a caller should do.

DropspotError
├── InvalidInputError   can never succeed: say so and stop
├── NotFoundError       the named thing does not exist
└── TransientError      may succeed later: try again

Messages say what was attempted on what. Nothing matches on their text.
"""


class DropspotError(Exception):
    """Anything this project raises on purpose."""


class InvalidInputError(DropspotError):
    """The input can never be accepted as it is."""


class NotFoundError(DropspotError):
    """The named thing does not exist."""


class TransientError(DropspotError):
    """The attempt failed for a reason that may pass."""
