"""Recordings in, arrays out."""
