"""Pictures of a report: what each shows, in marks and in words, and how marks are drawn."""
