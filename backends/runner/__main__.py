"""`python -m paretune.backends.runner`: the runner on a device."""

import sys

from .serve import main

main(sys.argv[1:])
