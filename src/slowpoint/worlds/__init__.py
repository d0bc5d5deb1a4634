"""Systems without weights: environments, plants, textbook flows. No file knows another."""
