"""One unattended night after the other: run, verify, regress, and what is written of it."""
