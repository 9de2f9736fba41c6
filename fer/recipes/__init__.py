"""Recipes: YAML files with only what differs from the defaults of :class:`fer.config.RunConfig`."""
