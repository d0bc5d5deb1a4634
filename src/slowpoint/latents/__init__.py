"""Models of recordings: what moves beneath the spikes, and how it is read out."""
