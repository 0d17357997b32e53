"""Training one team of models: recipe, batches, loop, checkpoint, inference."""
