"""One picture of a report per file: builders that say what they show, in numbers."""
