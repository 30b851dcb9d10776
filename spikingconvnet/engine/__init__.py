"""The compiled host engine: single-spike layers and their learning rules at data-set scale."""
