"""Knowledge base, retrieval and mixing: what a distilled student may look up at inference."""
