"""The commands of `imgqd`: each function is one command, its docstring is its help."""
