"""Result -> Axes. Draws, never computes. The only room with matplotlib and plotly."""
