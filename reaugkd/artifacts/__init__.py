"""What is kept on disk: whole files, fingerprints, the store of artefacts."""
