"""Results and figures in, one static page out."""
