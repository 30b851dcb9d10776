"""Descriptions of SpiNNaker boards, one JSON file each."""
