"""Training: :func:`fer.training.fit.fit` is the loop, :func:`fer.training.run.train` keeps it on disk."""
