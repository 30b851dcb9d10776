"""Edges of the toolkit: data sets, storage, plots, metrics, progress and logs."""
