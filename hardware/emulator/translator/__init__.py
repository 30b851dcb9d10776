"""Translate ARM code to machine code of the host, ahead of time and in the background."""
