"""``python -m geuwsgi``: the same as the command ``geuwsgi``."""

import sys

from geuwsgi.cli import main

if __name__ == "__main__":
    sys.exit(main())
