"""The study in Optuna's storage, and the directory of a run."""
