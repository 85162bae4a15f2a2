"""The device asked: compile, score, measure."""
