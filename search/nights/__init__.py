"""What a nightly job knows of its nights: what each was, what changed between two, and how they are kept."""
