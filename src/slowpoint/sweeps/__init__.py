"""Many runs of one function: which are asked for, who does them, what each found."""
