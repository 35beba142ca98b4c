"""What this software calls itself in the files that it makes."""

VERSION = "0.1.0"  # the package's as well: pyproject.toml reads it here
CITE = f"resnet_viz {VERSION}, the resnet_viz authors (2026), MIT licence"
