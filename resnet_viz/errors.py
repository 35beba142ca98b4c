"""The one exception for input that cannot be used; its message says what was expected, what was given and what to do."""


class InputError(ValueError):
    """Input from outside cannot be used. The message is one sentence for the person who gave it."""


class NotFinite(InputError):
    """A network's output is NaN or infinite, so that no number made of it means anything."""
