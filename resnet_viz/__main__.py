"""``python -m resnet_viz``."""

import sys

if __name__ == "__main__":
    try:
        from .cli import main  # here, since Ctrl-C may come while torch is imported

        main(prog_name="resnet_viz")
    except KeyboardInterrupt:
        sys.exit(130)
