"""One task from rows to a swept knowledge base, each step an artefact."""
