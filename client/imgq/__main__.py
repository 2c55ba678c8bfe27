"""`python -m imgq`: the same as the command `imgq`."""

import sys

from imgq.cli import main

if __name__ == "__main__":
    sys.exit(main())
