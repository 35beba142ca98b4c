"""The one exception for input that cannot be used; its message says what came, what was expected and what to do."""


class InputError(ValueError):
    """Input from outside cannot be used. The message is one sentence for the person who gave it."""
