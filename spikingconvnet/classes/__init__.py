"""What a model is: frozen records of layers, neurons, encoders and rules, and their networks."""
