"""Where the files lie that come with the project: in a checkout beside the package, once installed inside it."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_IN_CHECKOUT = (_PACKAGE.parent / "app.py").is_file() and (_PACKAGE.parent / "pages").is_dir()
APP = _PACKAGE.parent if _IN_CHECKOUT else _PACKAGE / "app"  # app.py, pages/ and .streamlit/
CHECKPOINTS = (_PACKAGE.parent if _IN_CHECKOUT else _PACKAGE) / "checkpoints"
