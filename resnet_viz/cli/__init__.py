"""The experiments from a shell: ``python -m resnet_viz COMMAND``. JSON goes to stdout, progress to stderr."""

from . import app, classroom, cutting, depth, recipes, studies, training  # noqa: F401  (their commands belong to main)
from .shell import main as main
