"""Tests ask for the toy backend, which nobody else in this environment should meet."""

import os

os.environ["PARETUNE_TOY"] = "1"
