"""What is, or stands in for, a SpiNNaker board."""
