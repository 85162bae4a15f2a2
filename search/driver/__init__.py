"""The search itself: one candidate after the other, or many at once, until the budget is used."""
