"""Statistics of paired differences over seeds and examples."""
