"""What is asked of a network. One file per task; no task knows another."""
