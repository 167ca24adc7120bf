"""Other harnesses beside this one: their own commands, in environments of their own, on the same questions."""
