"""Progress of a run: events, the estimate of time left, the live view."""
