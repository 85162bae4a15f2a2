"""What was learned: front, ranking, pages, bundles. Reads records and the store; runs nothing."""
