"""From a study file to something that can be run."""
