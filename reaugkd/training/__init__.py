"""Training one team of models: batches, loop, checkpoint, stages, inference."""
