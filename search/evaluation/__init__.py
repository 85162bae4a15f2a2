"""One candidate to one evaluation, and what a finalist is asked beyond it."""
