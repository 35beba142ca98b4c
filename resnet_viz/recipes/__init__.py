"""One module a question: what is shown, as functions of subjects and settings, without Streamlit."""

from importlib import import_module
from pkgutil import iter_modules

from .shown import Recipe

MODULES = tuple(each.name for each in iter_modules(__path__))


def recipe_named(name: str) -> Recipe | None:
    """'layer_deletion.sweep': a recipe by its module's and its own name, None if there is none."""
    module, _, function = name.partition(".")
    found = getattr(import_module(f"{__name__}.{module}"), function, None) if module in MODULES else None
    return found if isinstance(found, Recipe) else None


def names() -> list[str]:
    """Of all recipes."""
    given = ((module, getattr(import_module(f"{__name__}.{module}"), "__all__", ())) for module in MODULES)
    return [f"{module}.{name}" for module, exported in given for name in exported if recipe_named(f"{module}.{name}")]
