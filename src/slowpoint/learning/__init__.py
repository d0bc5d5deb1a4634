"""How a rule is taught."""
