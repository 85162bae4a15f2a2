"""One study from start to end, stopped and continued."""
