"""Pure NumPy functions: shapes, connection lists, windows, spike trains, encoders, references.

Nothing here knows PyNN, files or the model's records; every random draw uses the generator given.
"""
