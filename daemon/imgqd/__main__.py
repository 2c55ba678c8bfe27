"""`python -m imgqd`: the same as the command `imgqd`."""

import sys

from imgqd.cli import main

if __name__ == "__main__":
    sys.exit(main())
