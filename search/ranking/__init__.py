"""Which candidate is better, and in what words."""
