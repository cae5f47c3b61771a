"""The commands: one group a file. A command parses, resolves its config and calls one function."""
