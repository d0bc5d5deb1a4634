"""Questions to a System or to arrays: one question, one Result, one file."""
