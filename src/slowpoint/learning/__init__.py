"""How a rule is taught: `train` teaches a System a Task, `descend` teaches anything."""
