"""What a session leaves: its report and its bundles."""
