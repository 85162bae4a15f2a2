"""What is shipped tonight against what was shipped then: a gate that noise alone does not close."""
