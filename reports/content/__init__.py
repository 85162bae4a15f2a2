"""What is said, as rows, cells and sentences: no HTML, no colour."""
