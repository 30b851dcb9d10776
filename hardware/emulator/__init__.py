"""The software board: chips that execute ARM code in C, monitors and the wire in Python."""
