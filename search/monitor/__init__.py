"""What a deployed bundle records of its use, and how that is compared with what was exported."""
