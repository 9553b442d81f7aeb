"""Dead letters: messages that could not be stored, to be looked at, sent again or dropped."""
